// The learning rate at each place of a run: linear scaling, warm-up, then down to its end.
//
// effective = base_lr * global_batch / base_batch (Goyal et al. 2017, arXiv 1706.02677). The n-th
// of W steps of warm-up, from 0, has
//   effective * (s + (1 - s) * n / W) with a warmup_start s (torch's LinearLR), else
//   start + (effective - start) * (n + 1) / W, start = min(base_lr, effective) (Goyal et al.).
// Then, t being the share of what is left, up to run.epochs without cooldown_epochs:
//   step         effective * gamma^(milestones passed)
//   cosine       min_lr + (effective - min_lr) / 2 * (1 + cos(pi * t)) (Loshchilov and Hutter 2017,
//                arXiv 1608.03983, without restarts; torch's CosineAnnealingLR)
//   polynomial   min_lr + (effective - min_lr) * (1 - t)^power (torch's PolynomialLR)
//   one_cycle    half a cosine up from warmup_start (0.04) * effective to the last step of warm-up,
//                half a cosine down to min_lr at the last step (Smith and Topin 2019, arXiv
//                1708.07120; torch's OneCycleLR, whose pct_start is warmup_epochs / epochs,
//                div_factor 1 / warmup_start)
// With per_epoch a step's rate is that of its epoch's number, all lengths in epochs: so
// torchvision's references do it. run.steps only cuts a run short. Pure; local.
// SPDX-License-Identifier: BSD-3-Clause
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
  double warming_up(double now) const;
  double in_one_cycle(double now) const;

  ScheduleOptions schedule_;
  int64_t global_batch_;
  int64_t images_;
  double effective_lr_;
  double start_lr_;  // of Goyal's warm-up
  double min_lr_;
  // In steps, or epochs with per_epoch.
  double per_epoch_;
  double warmup_;
  double end_;
};

}  // namespace resnext
