// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/compare.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "configs/key_value.h"
#include "configs/lr_schedule.h"
#include "configs/yaml_reader.h"
#include "model/network/cost.h"

namespace resnext {
namespace {

constexpr int64_t kClassesOfImagenet = 1000;  // where the data alone know their number

int64_t global_batch(const BatchOptions& batch, int64_t ranks) {
  return batch.global != 0 ? batch.global : batch.per_rank * ranks * batch.accumulation;
}

// Numbers of whole epochs that show a schedule's shape: its begin, and parts of the longer run.
std::vector<int64_t> shown_epochs(int64_t longest) {
  std::vector<int64_t> epochs = {1, 2, 6, longest / 4, longest / 2, longest * 3 / 4, longest};
  std::erase_if(epochs, [&](int64_t epoch) { return epoch < 1 || epoch > longest; });
  std::ranges::sort(epochs);
  const auto twice = std::ranges::unique(epochs);
  epochs.erase(twice.begin(), twice.end());
  return epochs;
}

std::string name_of(const std::string& file) {
  return std::filesystem::path(file).stem().string();
}

std::string memory_of_average(const EmaOptions& ema, double steps_per_epoch) {
  if (ema.decay == 0) return "none";
  const double updates = static_cast<double>(ema.every_steps) / (1 - ema.decay);
  return fmt::format("{:.0f} updates, {:.3g} epochs", updates, updates / steps_per_epoch);
}

}  // namespace

std::vector<Row> differing_keys(const RunConfig& first, const RunConfig& second) {
  std::vector<Row> rows = {{"key", first.run.name, second.run.name}};
  for (const auto& [key, one, other] : changed_keys(first, second)) {
    if (key == "run.name" || key == "run.output") continue;
    rows.push_back({std::string(key), one, other});
  }
  return rows;
}

double decaying_share(const RunConfig& config) {
  ModelOptions model = config.model;
  if (model.classes == 0) model.classes = kClassesOfImagenet;
  double all = 0, decaying = 0;
  for (const PlannedLayer& layer : plan_network(model).layers) {
    for (const PlannedTensor& tensor : layer.tensors()) {
      if (!tensor.is_parameter) continue;
      const bool layers_bias =
          layer.kind != LayerKind::kBatchNorm && tensor.name.ends_with(".bias");
      const auto count = static_cast<double>(tensor.elements());
      all += count;
      if (decays(config.optimizer, tensor.shape.size(), layers_bias)) decaying += count;
    }
  }
  return config.optimizer.weight_decay > 0 ? decaying / all : 0;
}

std::vector<Row> effects(const RunConfig& config, const CompareTask& task,
                         const std::vector<int64_t>& epochs) {
  const int64_t batch = global_batch(config.batch, task.ranks);
  const int64_t steps = std::max<int64_t>(1, task.images / batch);
  const LrSchedule schedule(config.optimizer, config.schedule, batch, task.images,
                            config.run.epochs);
  ModelOptions model = config.model;
  if (model.classes == 0) model.classes = kClassesOfImagenet;
  const Cost cost = model_cost(model, config.data.size);
  const int64_t taken = steps * batch;
  std::vector<Row> rows = {
      {"parameters", fmt::format("{:.1f} M", static_cast<double>(cost.parameters) / 1e6)},
      {"multiply-adds of an image in training", fmt::format("{:.2f} G", cost.gmac)},
      {"images a step", std::to_string(batch)},
      {"steps an epoch", std::to_string(steps)},
      {"images an epoch", std::to_string(taken)},
      {"different ones among them", std::to_string(taken / config.data.repeats)},
      {"steps in all", std::to_string(steps * config.run.epochs)},
      {"effective rate", fmt::format("{:.6g}", schedule.effective_lr())}};
  for (const int64_t epoch : epochs) {
    const bool runs = epoch <= config.run.epochs;
    rows.push_back({fmt::format("rate at epoch {}", epoch),
                    runs ? fmt::format("{:.4g}", schedule.at({epoch - 1, 0})) : "-"});
  }
  rows.push_back({"weights that decay", fmt::format("{:.2f} %", 100 * decaying_share(config))});
  rows.push_back({"rate x weight decay",
                  fmt::format("{:.3g}", schedule.effective_lr() * config.optimizer.weight_decay)});
  rows.push_back(
      {"the average reaches back", memory_of_average(config.ema, static_cast<double>(steps))});
  return rows;
}

int execute(const CompareTask& task) {
  RunConfig first = read_run_config(task.first, {}), second = read_run_config(task.second, {});
  first.run.name = name_of(task.first);
  second.run.name = name_of(task.second);
  const std::vector<Row> keys = differing_keys(first, second);
  std::string text = keys.size() == 1 ? "no key differs\n" : to_columns(keys);
  const std::vector<int64_t> epochs = shown_epochs(std::max(first.run.epochs, second.run.epochs));
  const std::vector<Row> mine = effects(first, task, epochs), other = effects(second, task, epochs);
  std::vector<Row> both = {
      {fmt::format("in effect, {} images", task.images), first.run.name, second.run.name}};
  for (size_t i = 0; i < mine.size(); ++i) both.push_back({mine[i][0], mine[i][1], other[i][1]});
  std::fputs((text + "\n" + to_columns(both)).c_str(), stdout);
  return 0;
}

}  // namespace resnext
