// The typed description of one training run: everything that the YAML file and the command line
// can say, with its default. Components own their part (`*_options.h`); this assembles them.
//
// Plain data; reading and checks are in yaml_reader.h.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
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
  int64_t steps = 0;        // stop after so many updates in all; 0: by epochs
  int64_t pause_epoch = 0;  // end a start after so many epochs, to go on later; 0: not
  int64_t validate_every_epochs = 1;
  int64_t early_stop = 0;        // end after so many epochs without a better top-1; 0: never
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

enum class LossKind { kCrossEntropy, kBce };

enum class OptimizerKind { kSgd, kLars, kLamb, kAdamw };

// The formulas are in worker/step/update_rule.h.
struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double base_lr = 0.1;      // learning rate for a global batch of `base_batch`
  int64_t base_batch = 256;  // Goyal et al. 2017, arXiv 1706.02677: lr = base_lr * batch / 256
  double momentum = 0.9;     // sgd, lars
  bool nesterov = true;      // sgd, lars; MLPerf's LARS is without
  double beta1 = 0.9;        // lamb, adamw
  double beta2 = 0.999;      // lamb, adamw
  double eps = 0;            // lars, lamb, adamw; 0: the kind's own
  double trust = 0.001;      // lars
  double weight_decay = 1e-4;
  bool decay_norms = true;    // weight decay on BN scales, BN shifts and biases too
  bool decay_biases = false;  // without decay_norms: on the biases of other layers all the same
  double clip_norm = 0;       // largest norm of the gradients; 0: any
  LossKind loss = LossKind::kCrossEntropy;
  double label_smoothing = 0;
  double bce_threshold = 0;  // targets above it count as 1, the others as 0; 0: as they are
};

// Whether weight decay is for a parameter of so many dimensions. Norm scales, norm shifts and
// biases have one; `layers_bias`: that of a convolution or linear layer.
inline bool decays(const OptimizerOptions& options, size_t dimensions, bool layers_bias) {
  return options.decay_norms || dimensions > 1 || (options.decay_biases && layers_bias);
}

// The moving average of the weights: worker/step/weight_average.h.
struct EmaOptions {
  double decay = 0;          // share of the past at each update of it; 0: there is none
  int64_t every_steps = 1;   // it is updated with the 1st, (k + 1)th, ... step of each epoch
  double warmup_epochs = 0;  // so long it is a copy
  bool evaluate = false;     // --evaluate takes it
};

// Mixed images and labels: worker/step/mixing.h.
struct MixOptions {
  double mixup = 0;           // both parameters of the Beta distribution; 0: no mixup
  double cutmix = 0;          // the same of CutMix
  double probability = 1;     // of a batch to be mixed
  double cutmix_share = 0.5;  // of the mixed batches, where both are on
};

enum class ScheduleKind { kStep, kCosine, kPolynomial, kOneCycle };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kStep;
  std::vector<double> milestones = {30, 60, 90};  // epochs at which the rate is multiplied by gamma
  double gamma = 0.1;
  double power = 2;            // polynomial
  double min_lr = 0;           // where the rate ends (all but step); not scaled by the batch
  double warmup_epochs = 0;    // up to the effective rate
  double warmup_start = -1;    // share of it at which the warm-up begins; -1: at base_lr
  double cooldown_epochs = 0;  // of run.epochs, at the last rate
  bool per_epoch = false;      // the rate changes where an epoch begins, else at each step
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
  EmaOptions ema;
  MixOptions mix;
  PrecisionOptions precision;
  CommOptions comm;
  CheckpointOptions checkpoint;
  LogOptions log;
};

}  // namespace resnext
