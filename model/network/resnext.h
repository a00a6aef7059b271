// The ResNeXt network, built and run from its plan (model/network/plan.h).
//
// Parameter names are the plan's. Channels-last throughout, when the input is. Local; one thread at
// a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/model_options.h"
#include "model/network/layer_graph.h"
#include "model/network/stochastic_depth.h"
#include "model/weights/state_dict.h"

namespace resnext {

class ResNeXt {
 public:
  // Float32 on the CPU, initialised as the seed does; the same `seed` gives the same weights on
  // every machine and rank. Throws ConfigError when options.classes is 0 or more stages are to be
  // recomputed than there are.
  ResNeXt(const ModelOptions& options, uint64_t seed);

  // Images [N, 3, H, W], normalised, of the parameters' dtype -> logits [N, classes].
  // Frozen layers are run as in evaluation. With options.recompute_stages the network must outlive
  // backward, which runs stages again.
  at::Tensor forward(const at::Tensor& images, Mode mode) const;
  // What the classifier sees of it: means over pixels, [N, features].
  at::Tensor features(const at::Tensor& images, Mode mode) const;

  // Training takes BN's statistics over the images of `ranks`, which must outlive this: forward and
  // backward are COLLECTIVE among them from now on.
  void normalise_over(NormRanks& ranks) { graph_.normalise_over(ranks); }

  // Training takes sums of BN on convolutions' ways where `kernels` can (null: nowhere).
  void take_sums_with(std::shared_ptr<ConvolutionKernels> kernels) {
    graph_.take_sums_with(std::move(kernels));
  }

  // Which blocks the images of the next forward passes in training leave out, where
  // options.stochastic_depth is set: a function of the key and each image's number, the first
  // image's being `first`.
  void draw_depth(uint64_t key, int64_t first) {
    if (depth_.enabled()) depth_.use(key, first);
  }

  // Adds to the counters num_batches_tracked, which forward leaves alone; a training step calls it
  // with its number of forward passes.
  void count_batches(int64_t batches);

  // Moves the floating-point tensors; 4-D weights to channels-last where asked. Handles given out
  // before stay with the old tensors. On a GPU, with options.fused_convolutions, BN's sums are then
  // taken with its kernels.
  void to(at::Device device, at::ScalarType dtype, bool channels_last);

  // In state_dict order. Handles: they share memory with the network.
  std::vector<at::Tensor> parameters();
  std::vector<std::string> parameter_names();
  std::vector<at::Tensor> statistics();  // running means and variances
  // Without those of the stem and the stages that options.freeze keeps as they are.
  std::vector<at::Tensor> trained_parameters();
  std::vector<std::string> trained_names();
  std::vector<at::Tensor> trained_statistics();
  StateDict state_dict();

  // Copies values in (model/weights/weights_fit.h). `skip_classifier` leaves fc.* as it is.
  void load(const StateDict& state, const std::string& source, bool skip_classifier = false);

 private:
  ResNeXt(NetworkPlan plan, const ModelOptions& options, const at::Generator& generator);
  // Layers up to `end`, exclusive.
  at::Tensor run(const at::Tensor& images, Mode mode, size_t end) const;

  // Tensors of the layers that are trained.
  void visit_trained(const TensorVisitor& visitor);

  bool fused_convolutions_;
  size_t layers_;
  size_t frozen_;  // first layers, which are not trained
  std::set<std::string> frozen_names_;
  std::vector<LayerRange> recomputed_;  // stages
  StochasticDepth depth_;
  LayerGraph graph_;
};

}  // namespace resnext
