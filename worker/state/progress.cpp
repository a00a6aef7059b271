// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/progress.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

namespace resnext {

using Json = nlohmann::ordered_json;

namespace {

Json to_json(const SampleOrder& order) {
  return {{"seed", order.seed},
          {"blocks", order.shuffle == Shuffle::kBlock},
          {"repeats", order.repeats}};
}

SampleOrder to_order(const Json& json) {
  return {json.at("seed"), json.at("blocks") ? Shuffle::kBlock : Shuffle::kFull,
          json.at("repeats")};
}

}  // namespace

std::string changes(const Progress& before, const Progress& now, const SampleOrder& own) {
  std::vector<std::string> parts;
  const auto changed = [&](const char* name, auto was, auto is) {
    if (was != is) parts.push_back(fmt::format("{} {} -> {}", name, was, is));
  };
  if (before.world_size > 0) changed("ranks", before.world_size, now.world_size);
  changed("global batch", before.global_batch, now.global_batch);
  if (before.epochs > 0) changed("run.epochs", before.epochs, now.epochs);
  if (before.effective_lr > 0) {
    changed("effective learning rate", fmt::format("{:.6g}", before.effective_lr),
            fmt::format("{:.6g}", now.effective_lr));
  }
  if (now.position.order && *now.position.order != own) {
    parts.emplace_back("the images' order from the next epoch on");
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

Json to_json(const Progress& p) {
  return {{"step", p.step},
          {"epoch", p.position.epoch},
          {"epoch_images", p.position.images},
          {"epoch_order", p.position.order ? to_json(*p.position.order) : Json()},
          {"world_size", p.world_size},
          {"global_batch", p.global_batch},
          {"epochs", p.epochs},
          {"effective_lr", p.effective_lr},
          {"validation_due", p.validation_due},
          {"validated", p.validated},
          {"meter_steps", p.meter_steps},
          {"meter_loss_sum", p.meter_loss_sum},
          {"tally", p.tally},
          {"skipped", p.skipped},
          {"skipped_in_a_row", p.skipped_in_a_row},
          {"loss_scale", p.loss_scale},
          {"loss_scale_steps", p.loss_scale_steps},
          {"bucket_order", p.bucket_order}};
}

// Before version 2 a sum that was not finite became null.
Progress to_progress(const Json& json) {
  Progress p;
  p.step = json.at("step");
  p.global_batch = json.at("global_batch");
  p.position.epoch = json.at("epoch");
  p.position.images = json.contains("epoch_images")
                          ? json.at("epoch_images").get<int64_t>()
                          : json.at("epoch_step").get<int64_t>() * p.global_batch;
  const Json order = json.value("epoch_order", Json());
  if (!order.is_null()) p.position.order = to_order(order);
  p.world_size = json.value("world_size", 0);
  p.epochs = json.value("epochs", p.epochs);
  p.effective_lr = json.value("effective_lr", p.effective_lr);
  p.validation_due = json.value("validation_due", p.validation_due);
  p.validated = json.value("validated", p.validated);
  const Json& sum = json.at("meter_loss_sum");
  p.meter_loss_sum = sum.is_null() ? 0 : sum.get<double>();
  p.meter_steps = sum.is_null() ? 0 : json.at("meter_steps").get<int64_t>();
  p.tally = json.value("tally", p.tally);
  p.skipped = json.value("skipped", p.skipped);
  p.skipped_in_a_row = json.value("skipped_in_a_row", p.skipped_in_a_row);
  p.loss_scale = json.value("loss_scale", p.loss_scale);
  p.loss_scale_steps = json.value("loss_scale_steps", p.loss_scale_steps);
  p.bucket_order = json.at("bucket_order").get<std::vector<int64_t>>();
  return p;
}

}  // namespace resnext
