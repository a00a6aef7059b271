// The learning rate at each place of a run: linear scaling, linear warm-up, then steps or a cosine.
//
// effective = base_lr * global_batch / base_batch (Goyal et al. 2017, arXiv 1706.02677), reached
// by equal increments over the warm-up from base_lr, or from itself where it is lower. kStep
// multiplies by gamma at each milestone; kCosine is effective / 2 * (1 + cos(pi * t / T)) over the
// steps after warm-up (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts). The horizon
// is run.epochs: run.steps only cuts a run short. Pure; local. SPDX-License-Identifier:
// BSD-3-Clause
#pragma once

#include <cstdint>

#include "configs/run_config.h"
#include "data/sampler.h"

namespace resnext {

// A place in steps of a run that has had this batch from its begin; between whole numbers where
// another batch led there, such that every epoch ends at its whole number.
double steps_at(const Position& position, int64_t images, int64_t global_batch);

class LrSchedule {
 public:
  // `images` of the training split.
  LrSchedule(const OptimizerOptions& optimizer, ScheduleOptions schedule, int64_t global_batch,
             int64_t images, int64_t epochs);

  double effective_lr() const { return effective_lr_; }
  // Rate of the step that begins here. A function of the place alone, however the run came there.
  double at(const Position& position) const;

 private:
  ScheduleOptions schedule_;
  int64_t global_batch_;
  int64_t images_;
  double effective_lr_;
  double start_lr_;  // of the warm-up
  double steps_per_epoch_;
  double warmup_steps_;
  double total_steps_;
};

}  // namespace resnext
