// The exponential moving average (EMA) of the weights: a second network, which is validated and
// saved beside the one that is trained.
//
//   average = decay * average + (1 - decay) * weights
// after the 1st, (k + 1)th, ... step of an epoch (ema.every_steps = k), of parameters and of batch
// normalisation's statistics alike; counts of batches are copied. While ema.warmup_epochs last,
// and with the first update behind them, it is a copy. All this is what torchvision's references
// do (references/classification: ExponentialMovingAverage with use_buffers=True, n_averaged set to
// 0 while the rate warms up); their --model-ema-decay becomes our decay by
// 1 - min(1, (1 - it) * world size * batch * steps / epochs).
// What is due where follows from the place alone, so nothing but the average has to be saved.
// A few fused operators over all tensors; nothing waits for the device. Local: ranks stay equal
// because their weights are.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "configs/run_config.h"
#include "data/sampler.h"
#include "model/network/resnext.h"

namespace resnext {

class WeightAverage {
 public:
  // `network`: another one than `model`, of the same options, device and types; it becomes a copy.
  // `model` must outlive this.
  WeightAverage(const EmaOptions& options, ResNeXt network, ResNeXt& model);

  // The model has taken the step over the global batch at `position`.
  void follow(const Position& position, int64_t global_batch);
  // Becomes a copy of the model.
  void copy_model();

  // Handles: they share memory.
  StateDict state_dict() { return network_.state_dict(); }
  // Throws CheckpointError when `state` is not of this network.
  void load(const StateDict& state, const std::string& source) { network_.load(state, source); }
  const ResNeXt& network() const { return network_; }

 private:
  void copy_counts();

  const EmaOptions options_;
  ResNeXt network_;
  ResNeXt& model_;
  std::vector<at::Tensor> averages_, values_;  // parameters and statistics, of both
};

}  // namespace resnext
