// The layers that the network is made of: convolution, batch normalisation, linear classifier.
//
// Each is built from the layer of the plan that describes it and owns its tensors (handles: copies
// share memory), float tensors of one dtype and device; tensors() are those of
// PlannedLayer::tensors(), in that order.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/convolution/convolution_kernels.h"
#include "model/network/plan.h"
#include "model/norm/fused_norm.h"
#include "model/norm/norm_ranks.h"

namespace resnext {

// Called with each tensor's state_dict name and whether it is a parameter (else a buffer).
using TensorVisitor =
    std::function<void(const std::string& name, at::Tensor& tensor, bool is_parameter)>;

// What batch normalisation uses: the batch's statistics, moving the running ones; the running ones;
// or the batch's once more, for a second run of what has moved them already
// (model/network/recompute.h).
enum class Mode { kTrain, kEvaluate, kRecompute };

// One handle of an output for each layer that reads it.
using Handles = std::vector<at::Tensor>;

// Weights from N(0, sqrt(2 / (k * k * out))), `out` counting all groups: the seed's
// (fb.resnet.torch models/resnext.lua), equal to kaiming_normal with fan_out; a bias starts at 0.
struct Convolution {
  at::Tensor weight;  // [out, in / groups, k, k]
  at::Tensor bias;    // [out], or undefined
  ConvolutionShape shape;

  Convolution(const PlannedLayer& layer, const at::Generator& generator);
  at::Tensor operator()(const at::Tensor& x) const;
  // With what the norms around it take (model/convolution/summed_convolution.h); has no bias.
  Summed summed(const at::Tensor& x, const std::shared_ptr<ConvolutionKernels>& kernels, bool sums,
                const c10::intrusive_ptr<NormReader>& before) const;
  std::vector<at::Tensor*> tensors();
};

// eps 1e-5, momentum 0.1: Torch's defaults, which the seed leaves as they are. With what follows it
// in one operation (model/norm/fused_norm.h) where that exists for the activations and `fused` is
// set. Where it has `ranks`, training takes the statistics of all of them
// (model/norm/synced_norm.h).
struct BatchNorm {
  at::Tensor weight, bias;               // [channels]: gamma, beta
  at::Tensor running_mean, running_var;  // [channels], unbiased variance

  // int64 scalar on the CPU, for PyTorch's sake. Forward leaves it alone (work on the host is not
  // repeated by a captured graph): ResNeXt::count_batches() moves it.
  at::Tensor num_batches_tracked;

  bool fused;
  NormRanks* ranks = nullptr;  // must outlive this

  BatchNorm(const PlannedLayer& layer, bool fuse);
  // Whether it takes sums from its neighbours.
  bool takes_sums(Mode mode) const { return fused && mode != Mode::kEvaluate && ranks == nullptr; }
  // relu(norm(x) + residual), for so many readers; residual may be undefined.
  Handles run(const at::Tensor& x, const at::Tensor& residual, bool relu, Mode mode, int readers,
              const NormNeighbours& beside = {}) const;
  std::vector<at::Tensor*> tensors() {
    return {&weight, &bias, &running_mean, &running_var, &num_batches_tracked};
  }

 private:
  NormParameters parameters(Mode mode) const;
  at::Tensor normalised(const at::Tensor& x, Mode mode) const;
};

// Weights from U(-1/sqrt(in), 1/sqrt(in)), bias 0: Torch7's nn.Linear with the seed's zero bias.
struct Linear {
  at::Tensor weight, bias;  // [out, in], [out]

  Linear(const PlannedLayer& layer, const at::Generator& generator);
  at::Tensor operator()(const at::Tensor& x) const;
  std::vector<at::Tensor*> tensors() { return {&weight, &bias}; }
};

}  // namespace resnext
