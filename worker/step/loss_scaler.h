// Dynamic loss scaling for float16: gradients that would vanish in half precision are kept, and a
// step whose gradients overflowed is left out.
//
// Micikevicius et al. 2018 (arXiv 1710.03740, section 3.2); constants of torch.amp.GradScaler:
// starts at 65536, halves after a step that overflowed, doubles after 2000 in a row that did not.
// Works on sums over ranks, which are not finite where any rank's gradient is not, so all ranks
// agree. State stays on the device. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace resnext {

class LossScaler {
 public:
  // Not `enabled`: the scale is 1 and nothing is done.
  LossScaler(bool enabled, at::Device device);

  // loss * scale.
  at::Tensor scaled(const at::Tensor& loss) const;
  // Divides gradients (float32, summed over ranks) by the scale; sets `skip` (float32 []) to 1 when
  // one is not finite, else leaves it.
  void unscale(const std::vector<at::Tensor>& gradients, at::Tensor& skip) const;
  // After the step: `skip` says whether it was left out.
  void update(const at::Tensor& skip);

  const at::Tensor& scale() const { return scale_; }  // float32 []
  // Steps without overflow since the scale last changed. Waits for the device.
  int64_t clean_steps() const;
  // Continues from what a checkpoint saved.
  void restore(double scale, int64_t clean_steps);

  static constexpr double kFirstScale = 65536;
  static constexpr int kHalvings = 16;  // from there to a scale of 1

 private:
  bool enabled_;
  at::Tensor scale_;
  at::Tensor clean_steps_;  // int32 []
};

}  // namespace resnext
