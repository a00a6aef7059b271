// What is due at a place of a run: the next update, a log line, a save, a validation, the end.
//
// Functions of the progress alone, for one start's global batch; pure, local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "configs/run_config.h"
#include "worker/state/progress.h"

namespace resnext {

// Of the epochs that this start begins.
SampleOrder sample_order(const RunConfig& config);

class Course {
 public:
  // `images` of the training split, at least one `global_batch`. `validates`: there is a validation
  // split.
  Course(const RunConfig& config, int64_t images, int64_t global_batch, bool validates);

  bool validates() const { return validates_; }
  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  // Updates from here to the end, and their number in all.
  int64_t steps_left(const Progress& progress) const;
  int64_t total_steps(const Progress& progress) const {
    return progress.step + steps_left(progress);
  }
  bool finished(const Progress& progress) const;
  // Where this start ends: finished, or behind run.pause_epoch.
  bool ended(const Progress& progress) const;

  // Another start's place under this batch: where no full batch is left of the epoch, the epoch has
  // ended (true). The rest of an epoch keeps its order.
  bool adopt(Progress& progress) const;
  // Behind one more update. The place has an order from here on.
  void advance(Progress& progress) const;

  // Of the update that led here.
  int64_t epoch_of_last(const Progress& progress) const;
  bool epoch_ended(const Progress& progress) const { return progress.position.images == 0; }
  bool log_due(const Progress& progress) const;
  bool validation_due(const Progress& progress) const;
  bool save_due(const Progress& progress) const;
  bool snapshot_due(const Progress& progress) const;

 private:
  Position with_order(Position position) const;

  const RunConfig& config_;
  int64_t images_;
  int64_t global_batch_;
  int64_t steps_per_epoch_;
  bool validates_;
};

}  // namespace resnext
