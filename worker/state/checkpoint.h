// Checkpoints: folders that exist only when complete.
//
// CHECKPOINTS/step-00000120/ holds model.pt (a torchvision state_dict), optimizer.pt (momentum by
// parameter name) and manifest.json (progress, and size and CRC-32C of both files). A folder is
// written under a temporary name, each file fsynced, then renamed; CHECKPOINTS/best is a symbolic
// link to the one with the best validation. Rank 0 writes; every rank reads. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/sampler.h"
#include "model/weights.h"

namespace resnext {

// Where a run stands, apart from tensors.
struct Progress {
  int64_t step = 0;          // steps taken
  Cursor cursor;             // next batch
  int64_t global_batch = 0;  // images of a step when it was saved
  double best_top1 = -1;     // percent; -1: none yet
  int64_t best_step = -1;
  std::vector<int64_t> bucket_order;  // GradientReducer::order()
  int64_t meter_steps = 0;            // sums since the last log line
  double meter_loss_sum = 0;
  double loss_scale = 1;         // of float16
  int64_t loss_scale_steps = 0;  // since it last changed
};

struct Checkpoint {
  Progress progress;
  StateDict model;
  StateDict optimizer;
};

class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Writes one, makes `best` point to it when it is (progress.best_step == progress.step), then
  // removes all but the newest `keep` and the best. Throws OutputError; what was there stays.
  void save(const Checkpoint& checkpoint, int64_t keep) const;

  // The newest one that is whole; damaged ones are named in a warning and passed over.
  std::optional<Checkpoint> load_latest() const;

  // True when there is any checkpoint here, whole or not.
  bool any() const;

  // A checkpoint folder that the user named. Throws CheckpointError when it is not whole.
  static Checkpoint load(const std::filesystem::path& checkpoint);

 private:
  std::vector<std::filesystem::path> newest_first() const;
  void remove_old(int64_t keep) const;

  std::filesystem::path folder_;
};

}  // namespace resnext
