// How large the gradients of a step are: the Euclidean norm of each parameter's, by stage of the
// network.
//
// Costs a pass over the gradients: some 10 us of a GPU with 25 million of them, where it is part of
// every step, since a captured step is always the same; elsewhere of those steps alone that are
// asked for. Local; belongs to the training thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/record/observation.h"

namespace resnext {

class GradientNorms {
 public:
  // `parameters` outlive this; `names` are theirs. `always`: ask() or not.
  GradientNorms(std::vector<at::Tensor> parameters, const std::vector<std::string>& names,
                bool always);

  // Of the next step.
  void ask(bool wanted) { wanted_ = wanted; }
  // Once all gradients of a step are complete.
  void measure();
  // Of the last step that was measured: "stem", "layer1", ..., "classifier", in the network's
  // order. Waits for the device.
  std::vector<NamedValues> by_stage() const;

 private:
  std::vector<at::Tensor> parameters_;
  std::vector<std::string> stages_;  // by parameter
  bool always_;
  bool wanted_ = false;
  at::Tensor norms_;  // [parameters], on their device
};

}  // namespace resnext
