// A small network, what trains it, and batches that lie on the device, for tests of the step.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "worker/step/training_step.h"

namespace resnext::test {

// Three stages for images of 16 pixels; 8 channels and more a group.
inline RunConfig small_config(Compute compute, int64_t accumulation = 1) {
  RunConfig config;
  config.model.family = Family::kCifar;
  config.model.depth = 11;
  config.model.cardinality = 2;
  config.model.base_width = 16;
  config.model.classes = 4;
  config.model.stem.width = 32;
  config.data.size = 16;
  config.batch.per_rank = 8;
  config.batch.accumulation = accumulation;
  config.optimizer.label_smoothing = 0.1;
  config.comm.bucket_mib = 0.02;  // several buckets
  config.comm.first_bucket_mib = 0.01;
  config.precision.compute = compute;
  return config;
}

// Micro-batches of keyed random images, the same on every device. `side`: pixels.
inline std::vector<Input> random_batches(const RunConfig& config, const Precision& precision,
                                         at::Device device, int64_t count, uint64_t key,
                                         int64_t side = 16) {
  const auto generator = at::detail::createCPUGenerator(key);
  const int64_t n = config.batch.per_rank;
  std::vector<Input> batches;
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor images = at::randn({n, 3, side, side}, generator);
    const at::Tensor labels =
        at::randint(0, config.model.classes, {n}, generator, at::TensorOptions().dtype(at::kLong));
    batches.push_back(
        {images.to(device, precision.compute_type()).contiguous(at::MemoryFormat::ChannelsLast),
         labels.to(device), n});
  }
  return batches;
}

struct Training {
  RunConfig config;
  at::Device device;
  Precision precision;
  ResNeXt model;
  Meters meters;
  std::unique_ptr<TrainingStep> step;
  Input input;  // where a graph expects each micro-batch

  // `communicator` and `norms`, the ranks that share BN's statistics, must outlive this.
  Training(RunConfig c, Communicator& communicator, at::Device d, NormRanks* norms = nullptr,
           const std::vector<double>& class_weights = {})
      : config(std::move(c)),
        device(d),
        precision(config.precision, device),
        model(config.model, 1),
        meters(nullptr, device.is_cuda()) {
    model.to(device, precision.parameter_type(), precision.channels_last());
    if (norms != nullptr) model.normalise_over(*norms);
    step = std::make_unique<TrainingStep>(config, precision, model, communicator, meters,
                                          std::vector<int64_t>{}, class_weights);
  }

  std::vector<Input> batches(int64_t count, uint64_t key, int64_t side = 16) const {
    return random_batches(config, precision, device, count, key, side);
  }

  // One step over the micro-batches from `next` on.
  void run(std::vector<Input>::const_iterator next, double lr, bool stop = false) {
    step->run(lr, stop, [&] {
      if (!input.images.defined()) {
        input = {at::empty_like(next->images), at::empty_like(next->labels), next->count};
      }
      input.images.copy_(next->images, /*non_blocking=*/true);
      input.labels.copy_(next->labels, /*non_blocking=*/true);
      ++next;
      return input;
    });
  }

  // One step over each config.batch.accumulation of them, at a rate that changes from step to step.
  // The steps' reports, on the device.
  std::vector<at::Tensor> train(const std::vector<Input>& all) {
    std::vector<at::Tensor> reports;
    const int64_t parts = config.batch.accumulation;
    for (auto next = all.begin(); all.end() - next >= parts; next += parts) {
      step->draw({0, next - all.begin()});
      run(next, 0.05 / static_cast<double>(1 + reports.size() % 4));
      reports.push_back(step->report().clone());
    }
    return reports;
  }

  double report(int64_t index) const { return step->report()[index].item<double>(); }
  double loss() const { return report(0); }
  bool stopped() const { return report(1) > 0; }
  bool skipped() const { return report(2) > 0; }
  double scale() const { return report(3); }

  // All that a step may change, on the CPU.
  StateDict state() {
    StateDict all = model.state_dict();
    for (const auto& [name, momentum] : step->optimizer().state_dict()) {
      all.emplace_back("momentum of " + name, momentum);
    }
    for (auto& [name, tensor] : all) tensor = tensor.detach().cpu().clone();
    return all;
  }
};

// The first tensor in which two states differ; empty when there is none. Counts of batches are left
// out where asked.
inline std::string first_difference(const StateDict& a, const StateDict& b, bool counts = true) {
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= a.size() || i >= b.size() || a[i].first != b[i].first) return "the tensors' names";
    if (!counts && a[i].first.ends_with("num_batches_tracked")) continue;
    if (!a[i].second.equal(b[i].second)) return a[i].first;
  }
  return "";
}

}  // namespace resnext::test
