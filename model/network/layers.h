// The layers that the network is made of: convolution, batch normalisation, linear classifier.
//
// Each owns its tensors (handles: copies share memory). Float tensors of one dtype and device.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>

#include "model/network/convolution.h"

namespace resnext {

// Called with each tensor's state_dict name and whether it is a parameter (else a buffer).
using TensorVisitor =
    std::function<void(const std::string& name, at::Tensor& tensor, bool is_parameter)>;

// What batch normalisation uses: the batch's statistics, moving the running ones; the running ones;
// or the batch's once more, for a second run of what has moved them already
// (model/network/recompute.h).
enum class Mode { kTrain, kEvaluate, kRecompute };

// Weights from N(0, sqrt(2 / (k * k * out))), `out` counting all groups: the seed's
// (fb.resnet.torch models/resnext.lua), equal to kaiming_normal with fan_out.
struct Convolution {
  at::Tensor weight;  // [out, in / groups, k, k]
  ConvolutionShape shape;

  Convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups,
              const at::Generator& generator);
  at::Tensor operator()(const at::Tensor& x) const { return convolve(x, weight, shape); }
  void visit(const std::string& name, const TensorVisitor& visitor);
};

// eps 1e-5, momentum 0.1: Torch's defaults, which the seed leaves as they are. With what follows it
// in one operation (model/norm/fused_norm.h) where that exists for the activations and `fused` is
// set.
struct BatchNorm {
  at::Tensor weight, bias;               // [channels]: gamma, beta
  at::Tensor running_mean, running_var;  // [channels], unbiased variance

  // int64 scalar on the CPU, for PyTorch's sake. Forward leaves it alone (work on the host is not
  // repeated by a captured graph): ResNeXt::count_batches() moves it.
  at::Tensor num_batches_tracked;

  bool fused;

  explicit BatchNorm(int64_t channels, bool fuse = true);
  at::Tensor operator()(const at::Tensor& x, Mode mode) const;
  at::Tensor relu(const at::Tensor& x, Mode mode) const;
  at::Tensor add_relu(const at::Tensor& x, const at::Tensor& residual, Mode mode) const;
  void visit(const std::string& name, const TensorVisitor& visitor);

 private:
  struct Running {
    at::Tensor mean, var;
  };
  Running running(Mode mode) const;
  std::optional<at::Tensor> try_fused(const at::Tensor& x, const at::Tensor& residual, Mode mode,
                                      bool relu) const;
  at::Tensor separate(const at::Tensor& x, Mode mode) const;
};

// Weights from U(-1/sqrt(in), 1/sqrt(in)), bias 0: Torch7's nn.Linear with the seed's zero bias.
struct Linear {
  at::Tensor weight, bias;  // [out, in], [out]

  Linear(int64_t in, int64_t out, const at::Generator& generator);
  at::Tensor operator()(const at::Tensor& x) const;
  void visit(const std::string& name, const TensorVisitor& visitor);
};

}  // namespace resnext
