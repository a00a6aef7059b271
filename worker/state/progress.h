// Where a run stands, apart from tensors: what a checkpoint keeps beside weights and momentum.
//
// `step` counts updates and only grows; `position` counts images. Everything that follows an epoch
// (rate, validation, saves by epochs) is a function of the position, so that ranks, batch and
// accumulation may differ at every start. Plain data; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/sampler.h"

namespace resnext {

struct Progress {
  int64_t step = 0;  // updates taken, those that were skipped among them
  Position position;
  int world_size = 1;        // of the start that saved it, as the next three; 0: not known
  int64_t global_batch = 0;  // images of an update
  int64_t epochs = 0;        // run.epochs
  double effective_lr = 0;
  bool validation_due = false;        // the place is to be validated, after it was saved
  bool validated = false;             // it was, before it was saved
  std::vector<int64_t> bucket_order;  // GradientReducer::order()
  int64_t meter_steps = 0;            // sums since the last log line
  double meter_loss_sum = 0;
  uint64_t tally = 0;            // of the images since the last log line (data/sampler.h)
  int64_t skipped = 0;           // steps that were not finite, in all
  int64_t skipped_in_a_row = 0;  // at the end
  double loss_scale = 1;         // of float16
  int64_t loss_scale_steps = 0;  // since it last changed
};

// What another start changes, with the figures of both, on one line; empty: nothing. `own`: the
// order that it gives to the epochs which it begins.
std::string changes(const Progress& before, const Progress& now, const SampleOrder& own);

nlohmann::ordered_json to_json(const Progress& progress);
// Also of format version 1, whose place was counted in steps. Throws nlohmann::json::exception.
Progress to_progress(const nlohmann::ordered_json& json);

}  // namespace resnext
