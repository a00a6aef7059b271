// The derived figures of a run: what follows from the configuration, the data and the world size.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "configs/run_config.h"
#include "model/network/cost.h"

namespace resnext {

struct RunShape {
  int world_size = 1;
  std::string backend;       // of communication
  std::string device;        // of this rank: "cpu", or the GPU's name
  int64_t device_bytes = 0;  // its memory; 0: no limit is known
  int64_t needed_bytes = 0;  // memory_estimate()
  int threads = 1;           // of computation, a rank
  BatchOptions batch;        // resolved: per_rank and global
  int norm_ranks = 1;        // whose images a BN takes its statistics over
  int64_t train_images = 0;
  int64_t validation_images = 0;
  int64_t steps_per_epoch = 0;
  int64_t total_steps = 0;  // at which the run ends
  double effective_lr = 0;
  Cost cost;
};

// Bytes that a rank's device needs: parameters, gradients and momentum, what backward keeps of one
// micro-batch, and the images. An estimate: libraries' working space and gaps are not in it.
int64_t memory_estimate(const RunConfig& config, const RunShape& shape);

// Throws ConfigError when the device has less than the estimate.
void check_memory(const RunShape& shape);

// Throws ConfigError when a normalisation would see one value a channel: its variance would be 0,
// and its output its shift alone.
void check_statistics(const RunConfig& config, const RunShape& shape);

// The table that is printed at the start and by --plan.
std::string to_table(const RunConfig& config, const RunShape& shape);

}  // namespace resnext
