// The typed description of one training run: everything that the YAML file and the command line
// can say, with its default. Components own their part (`*_options.h`); this assembles them.
//
// Plain data; reading and checks are in yaml_reader.h.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/comm_options.h"
#include "data/data_options.h"
#include "model/model_options.h"

namespace resnext {

struct RunOptions {
  std::string name;               // shown in logs; empty: the configuration file's name
  std::string output = "runs/x";  // run folder: metrics, checkpoints, report
  uint64_t seed = 1;              // of initialisation, sample order and augmentation
  int64_t epochs = 100;
  int64_t steps = 0;             // stop after so many updates in all; 0: by epochs
  std::string resume = "auto";   // auto: latest checkpoint of the run folder; none; or a path
  bool accept_new_data = false;  // go on though the data differ from the checkpoint's
  bool deterministic = false;    // deterministic algorithms only
  bool graph = true;             // on GPUs: replay the step from a CUDA graph
};

struct BatchOptions {
  int64_t per_rank = 32;     // images of one rank in one micro-batch; 0: from `global`
  int64_t global = 0;        // images of all ranks in one step; 0: from `per_rank`
  int64_t accumulation = 1;  // micro-batches whose gradients are summed before a step
};

// SGD with momentum, as the seed's optim.sgd (dampening 0).
struct OptimizerOptions {
  double base_lr = 0.1;      // learning rate for a global batch of `base_batch`
  int64_t base_batch = 256;  // Goyal et al. 2017, arXiv 1706.02677: lr = base_lr * batch / 256
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 1e-4;
  bool decay_norms = true;  // weight decay on BN scales, BN shifts and biases too
  double label_smoothing = 0;
};

enum class ScheduleKind { kStep, kCosine };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kStep;
  std::vector<double> milestones = {30, 60, 90};  // epochs at which the rate is multiplied by gamma
  double gamma = 0.1;
  double warmup_epochs = 0;  // linear from base_lr to the effective rate, step by step
};

enum class Compute { kFp32, kTf32, kBf16, kFp16, kFp64 };

struct PrecisionOptions {
  Compute compute = Compute::kFp32;
  bool channels_last = true;
};

struct CheckpointOptions {
  double every_epochs = 1;  // 0: not by epochs
  int64_t every_steps = 0;  // 0: not by steps
  int64_t keep = 3;         // newest so many are kept, besides the best
  std::string local;        // folder on each host for snapshots; empty: none
  int64_t local_every_steps = 100;
};

struct LogOptions {
  int64_t every_steps = 10;
  bool tensorboard = true;
  bool timeline = false;
};

struct RunConfig {
  RunOptions run;
  ModelOptions model;
  DataOptions data;
  BatchOptions batch;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  PrecisionOptions precision;
  CommOptions comm;
  CheckpointOptions checkpoint;
  LogOptions log;
};

}  // namespace resnext
