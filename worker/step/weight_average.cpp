// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/weight_average.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>

#include <cmath>

namespace resnext {
namespace {

std::vector<at::Tensor> averaged_of(ResNeXt& model) {
  std::vector<at::Tensor> tensors = model.parameters();
  for (const at::Tensor& statistic : model.statistics()) tensors.push_back(statistic);
  return tensors;
}

}  // namespace

WeightAverage::WeightAverage(const EmaOptions& options, ResNeXt network, ResNeXt& model)
    : options_(options),
      network_(std::move(network)),
      model_(model),
      averages_(averaged_of(network_)),
      values_(averaged_of(model)) {
  copy_model();
}

void WeightAverage::follow(const Position& position, int64_t global_batch) {
  if (position.images / global_batch % options_.every_steps != 0) return;
  const auto first = static_cast<int64_t>(std::ceil(options_.warmup_epochs));  // epoch behind it
  if (position.epoch < first || position == Position{first, 0}) {
    copy_model();
    return;
  }
  const at::NoGradGuard no_grad;
  at::_foreach_lerp_(averages_, values_, 1 - options_.decay);
  copy_counts();
}

void WeightAverage::copy_model() {
  const at::NoGradGuard no_grad;
  at::_foreach_copy_(averages_, values_);
  copy_counts();
}

void WeightAverage::copy_counts() {
  const StateDict mine = network_.state_dict(), models = model_.state_dict();
  for (size_t i = 0; i < mine.size(); ++i) {
    if (mine[i].second.scalar_type() == at::kLong) mine[i].second.copy_(models[i].second);
  }
}

}  // namespace resnext
