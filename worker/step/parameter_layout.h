// Parameters, gradients and an optimizer's state, laid out as the reducer's buckets, so that an
// update goes over a few long tensors.
//
// Local; belongs to the training thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "comm/gradient_reducer.h"

namespace resnext {

// The same places in each tensor belong to the same parameter; between parameters there are zeros.
struct ParameterBucket {
  at::Tensor weights, gradients;  // [elements]
  std::vector<at::Tensor> state;  // one a slot, as `weights`
  std::vector<int64_t> members;   // parameter indices
  std::vector<int64_t> offsets;   // of each member, in elements
};

class ParameterLayout {
 public:
  // `parameters`: those of `reducer`, in its order; they become views of this memory (handles stay
  // valid). `slots`: numbers of state that each weight has; they start at zero. `reducer` must
  // outlive this.
  ParameterLayout(std::vector<at::Tensor> parameters, size_t slots, const GradientReducer& reducer);

  // Takes on the reducer's buckets where they were built anew (once, after the first step of a run
  // that has no checkpoint). True: the tensors of buckets() are other ones.
  bool follow();

  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  const std::vector<ParameterBucket>& buckets() const { return buckets_; }
  // Of one parameter, in its shape and memory format.
  const at::Tensor& state(size_t slot, size_t parameter) const { return state_[slot][parameter]; }

 private:
  ParameterBucket take_on(const GradientBucket& bucket);

  const GradientReducer& reducer_;
  int64_t generation_ = -1;  // of the buckets that are followed
  std::vector<at::Tensor> parameters_;
  std::vector<std::vector<at::Tensor>> state_;  // by slot and parameter
  std::vector<ParameterBucket> buckets_;
};

// A parameter's part of a bucket's tensor, in the parameter's shape and memory format.
at::Tensor part_of(const at::Tensor& flat, const at::Tensor& parameter, int64_t offset);

}  // namespace resnext
