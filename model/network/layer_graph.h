// The layers of a plan with their tensors: runs them, and shows the tensors by name.
//
// Copies share the tensors. Local; one thread at a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "model/network/layers.h"
#include "model/network/neighbours.h"
#include "model/network/plan.h"

namespace resnext {

class LayerGraph {
 public:
  // Float32 on the CPU, drawn from `generator` in the plan's order. `fused`: BN with what follows
  // it as one operation, where there is one.
  LayerGraph(std::vector<PlannedLayer> layers, bool fused, const at::Generator& generator);

  // Output of the range's last layer. `x` [N, C, H, W] is what its layers take from outside it.
  // `scales` [blocks, N] multiply the blocks' branches (stochastic_depth.h); undefined: nothing.
  at::Tensor run(LayerRange range, const at::Tensor& x, Mode mode,
                 const at::Tensor& scales = {}) const;

  // Training lets convolutions take the sums of the norms around them where `kernels` can; null:
  // norms take their own.
  void take_sums_with(std::shared_ptr<ConvolutionKernels> kernels) {
    kernels_ = std::move(kernels);
  }

  // Training normalises over the images of `ranks`, which must outlive this.
  void normalise_over(NormRanks& ranks);

  // In the plan's order.
  void visit(const TensorVisitor& visitor);

 private:
  using Module = std::variant<std::monostate, Convolution, BatchNorm, Linear>;
  class Run;
  static Module make_module(const PlannedLayer& layer, bool fused, const at::Generator& generator);

  std::vector<PlannedLayer> layers_;
  std::vector<Module> modules_;                         // of each layer
  std::vector<int> readers_;                            // of each layer's output
  std::map<size_t, ConvolutionNeighbours> neighbours_;  // of convolutions
  std::set<size_t> norms_of_readers_;                   // read by one convolution alone
  std::shared_ptr<ConvolutionKernels> kernels_;
};

}  // namespace resnext
