// The learning rate of each step: linear scaling, linear warm-up, then steps or a cosine.
//
// effective = base_lr * global_batch / base_batch (Goyal et al. 2017, arXiv 1706.02677), reached
// from base_lr by equal increments over the warm-up. kStep multiplies by gamma at each milestone;
// kCosine is effective / 2 * (1 + cos(pi * t / T)) over the steps after warm-up (Loshchilov and
// Hutter 2017, arXiv 1608.03983, without restarts). The horizon is run.epochs: run.steps only cuts
// a run short. Pure; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "configs/run_config.h"

namespace resnext {

class LrSchedule {
 public:
  LrSchedule(const OptimizerOptions& optimizer, ScheduleOptions schedule, int64_t global_batch,
             int64_t steps_per_epoch, int64_t epochs);

  double effective_lr() const { return effective_lr_; }
  // Rate of step `step`, counted from 0 over all epochs.
  double at(int64_t step) const;

 private:
  ScheduleOptions schedule_;
  double base_lr_;
  double effective_lr_;
  double steps_per_epoch_;
  double warmup_steps_;
  double total_steps_;
};

}  // namespace resnext
