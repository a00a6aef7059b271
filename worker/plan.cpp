// SPDX-License-Identifier: BSD-3-Clause
#include "worker/plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "configs/lr_schedule.h"
#include "data/data_options.h"

namespace resnext {
namespace {

// ILSVRC 2012 (Russakovsky et al. 2015, arXiv 1409.0575, table 2); Krizhevsky 2009.
const ImageCounts kImagenet = {1'281'167, 50'000, 1000, "ImageNet-1K"};
const ImageCounts kCifar10 = {50'000, 10'000, 10, "CIFAR-10"};

// Epochs from 0 at whose begin the rate is another than at the one before.
std::vector<int64_t> changes(const LrSchedule& schedule, int64_t epochs) {
  std::vector<int64_t> list;
  double before = -1;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const double rate = schedule.at({epoch, 0});
    if (rate != before) list.push_back(epoch);
    before = rate;
  }
  return list;
}

std::set<int64_t> some(const std::vector<int64_t>& list, int64_t warm_epoch) {
  constexpr size_t kRows = 10;
  if (list.size() <= kRows) return {list.begin(), list.end()};
  std::set<int64_t> chosen;
  for (size_t i = 0; i < kRows; ++i) chosen.insert(list[i * (list.size() - 1) / (kRows - 1)]);
  if (warm_epoch > 0 && warm_epoch < list.back()) chosen.insert(warm_epoch);
  return chosen;
}

}  // namespace

std::optional<ImageCounts> counts_without_data(const RunConfig& config,
                                               const std::vector<int64_t>& said) {
  const std::vector<std::string>& train = config.data.train;
  const auto absent = std::ranges::find_if(train, [](const std::string& address) {
    return !std::filesystem::exists(parse_data_address(address).file);
  });
  const bool there = !train.empty() && absent == train.end();
  if (said.empty() && (there || is_synthetic(train))) return std::nullopt;
  ImageCounts counts = config.model.family == Family::kCifar ? kCifar10 : kImagenet;
  if (!said.empty()) {
    counts.train = said[0];
    counts.validation = said.size() > 1 ? said[1] : 0;
    counts.origin = "--images";
  } else {
    counts.origin += train.empty() ? ", no data.train is named"
                                   : ", " + parse_data_address(*absent).file + " is not there";
  }
  if (config.model.classes > 0) counts.classes = config.model.classes;
  return counts;
}

std::string schedule_table(const RunConfig& config, const RunShape& shape) {
  const LrSchedule schedule(config.optimizer, config.schedule, shape.batch.global,
                            shape.train_images, config.run.epochs);
  std::string table = fmt::format("  {:<15} {:>7} {:>10}  rate\n", "schedule", "epoch", "step");
  const auto row = [&](int64_t epoch, int64_t step) {
    const int64_t images = (step - epoch * shape.steps_per_epoch) * shape.batch.global;
    table += fmt::format("  {:<15} {:>7} {:>10}  {:.4g}\n", "", epoch + 1, step + 1,
                         schedule.at({epoch, images}));
  };
  const int64_t last = shape.total_steps - 1;
  const int64_t last_epoch = last / shape.steps_per_epoch;
  const auto warm = static_cast<int64_t>(std::ceil(config.schedule.warmup_epochs));
  for (const int64_t epoch : some(changes(schedule, last_epoch + 1), warm)) {
    row(epoch, epoch * shape.steps_per_epoch);
  }
  if (last > last_epoch * shape.steps_per_epoch) row(last_epoch, last);
  return table;
}

}  // namespace resnext
