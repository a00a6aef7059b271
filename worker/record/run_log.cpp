// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/run_log.h"

#include <ATen/Version.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "comm/common/console.h"
#include "comm/common/exit_meaning.h"
#include "configs/key_value.h"
#include "configs/yaml_reader.h"
#include "worker/record/hyper_parameters.h"
#include "worker/record/picture_file.h"
#include "worker/record/progress_line.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void write_config(FileSystem& files, const RunConfig& config) {
  const fs::path folder = config.run.output;
  try {
    files.make_folders_to_stay(folder);
    files.replace(folder / "config.yaml", to_yaml(config));
  } catch (const FileError& error) {
    throw OutputError(folder.string(),
                      std::string("the run folder cannot be written: ") + error.what(),
                      "set run.output to a folder that can be, or free space");
  }
}

// Of the last start, where it can still be read.
std::optional<RunConfig> config_before(const RunConfig& config) {
  try {
    return read_run_config((fs::path(config.run.output) / "config.yaml").string(), {});
  } catch (const Error&) {
    return std::nullopt;
  }
}

// What else `told` says, and what only names the start.
bool is_of_the_start(std::string_view key) {
  constexpr std::string_view kKeys[] = {"run.name", "run.output", "run.resume",
                                        "run.accept_new_data", "run.epochs"};
  return key.starts_with("batch.") || std::ranges::find(kKeys, key) != std::end(kKeys);
}

std::string with_keys(std::string told, const std::optional<RunConfig>& before,
                      const RunConfig& now) {
  if (!before) return told;
  for (const auto& [key, was, is] : changed_keys(*before, now)) {
    if (is_of_the_start(key)) continue;
    told += fmt::format("{}{} {} -> {}", told.empty() ? "" : ", ", key, was, is);
  }
  return told;
}

// The configuration's file first: it makes the folder.
fs::path metrics_path(FileSystem& files, const RunConfig& config) {
  write_config(files, config);
  return fs::path(config.run.output) / "metrics.jsonl";
}

}  // namespace

RunLog::RunLog(const RunConfig& config, const RunShape& shape, FileSystem& files,
               const KeptLines& kept)
    : config_(config),
      before_(config_before(config)),
      shape_(shape),
      metrics_(files, metrics_path(files, config), kept) {
  if (config.log.tensorboard) events_.emplace(config.run.output);
}

void RunLog::start(const LoggedPlace& place, const std::string& changes) {
  first_step_ = place.step;
  shape_.total_steps = place.total_steps;
  spdlog::info("{}\n{}",
               place.step > 0 ? fmt::format("continuing after step {}", place.step) : "starting",
               to_table(config_, shape_));
  const std::string changed = with_keys(changes, before_, config_);
  if (place.step > 0 && !changed.empty()) spdlog::info("changed since the last start: {}", changed);
  if (place.step >= place.total_steps) {
    spdlog::info("nothing left to do: all {} steps are taken", place.step);
  }
  metrics_.write({{"event", "start"},
                  {"step", place.step},
                  {"world_size", shape_.world_size},
                  {"backend", shape_.backend},
                  {"device", shape_.device},
                  {"threads", shape_.threads},
                  {"global_batch", shape_.batch.global},
                  {"effective_lr", shape_.effective_lr},
                  {"parameters", shape_.cost.parameters},
                  {"gmac", shape_.cost.gmac},
                  {"steps_per_epoch", shape_.steps_per_epoch},
                  {"total_steps", place.total_steps},
                  {"versions", {{"resnext", RESNEXT_VERSION}, {"libtorch", TORCH_VERSION}}}});
  if (events_) events_->write_start(hyper_parameters(config_, shape_));
}

void RunLog::train(const LoggedPlace& place, double lr, const LoggedSteps& steps,
                   const Meters& meters) {
  const double step_ms = meters.mean_step_ms();
  const double images_per_second = static_cast<double>(shape_.batch.global) * 1000 / step_ms;
  const double wait = meters.mean_ms(Phase::kDataWait);
  const double left = static_cast<double>(place.total_steps - place.step) * step_ms / 1000;
  tell({place.epoch, config_.run.epochs, place.step, place.total_steps, meters.mean_loss(), lr,
        images_per_second, wait, left});
  Json line = {{"event", "train"},
               {"step", place.step},
               {"epoch", place.epoch},
               {"loss", meters.mean_loss()},
               {"lr", lr},
               {"images_per_second", images_per_second},
               {"data_wait_ms", wait},
               {"forward_ms", meters.mean_ms(Phase::kForward)},
               {"backward_ms", meters.mean_ms(Phase::kBackward)},
               {"exposed_comm_ms", meters.mean_ms(Phase::kExposedComm)},
               {"optimizer_ms", meters.mean_ms(Phase::kOptimizer)},
               {"skipped", steps.skipped},
               {"tally", fmt::format("{:016x}", steps.tally)}};
  if (config_.optimizer.clip_norm > 0) line["gradient_norm"] = steps.gradient_norm;
  metrics_.write(line);
  if (!events_) return;
  events_->write(place.step, {{"train/loss", meters.mean_loss()},
                              {"train/lr", lr},
                              {"train/images_per_second", images_per_second},
                              {"train/exposed_comm_ms", meters.mean_ms(Phase::kExposedComm)}});
}

void RunLog::observations(const LoggedPlace& place, const std::vector<NamedValues>& gradient_norms,
                          Picture picture) {
  if (!events_) return;
  if (!gradient_norms.empty())
    events_->write_histograms(place.step, "gradient_norm", gradient_norms);
  if (picture.height == 0) return;
  picture_ = std::jthread([this, step = place.step, picture = std::move(picture)] {
    try {
      events_->write_picture(step, "input/training", picture, to_png(picture));
    } catch (const OutputError& error) {
      spdlog::warn("no picture of the input: {}", error.what());
    }
  });
}

void RunLog::validation(const LoggedPlace& place, const Validation& validation, bool best) {
  const bool averaged = validation.average.has_value();
  validation_of("validation", "", place, validation.weights, best && !averaged);
  if (averaged) validation_of("ema_validation", " of the EMA", place, *validation.average, best);
}

void RunLog::validation_of(const char* event, const char* weights, const LoggedPlace& place,
                           const Accuracy& accuracy, bool best) {
  spdlog::info(
      "validation{} after epoch {}: top-1 {:.2f} %  top-5 {:.2f} %  loss {:.4f}  ({} images){}",
      weights, place.epoch + 1, accuracy.top1, accuracy.top5, accuracy.loss, accuracy.images,
      best ? "  best so far" : "");
  metrics_.write({{"event", event},
                  {"step", place.step},
                  {"epoch", place.epoch},
                  {"loss", accuracy.loss},
                  {"top1", accuracy.top1},
                  {"top5", accuracy.top5},
                  {"images", accuracy.images}});
  if (!events_) return;
  const std::string group = event;
  events_->write(place.step, {{group + "/loss", accuracy.loss},
                              {group + "/top1", accuracy.top1},
                              {group + "/top5", accuracy.top5}});
}

void RunLog::saved(int64_t step, double written_s, double stood_still_s) {
  spdlog::info("checkpoint of step {} written in {:.2f} s; training stood still for {:.2f} s", step,
               written_s, stood_still_s);
}

void RunLog::end(const LoggedPlace& place, ExitCode code, const LoggedSaves& saves) {
  metrics_.write({{"event", "end"},
                  {"step", place.step},
                  {"total_steps", place.total_steps},
                  {"exit_code", static_cast<int>(code)}});
  if (events_) events_->write_end(code == ExitCode::kOk);
  const bool paused = code == ExitCode::kOk && place.step < place.total_steps;
  const std::chrono::duration<double> time = Clock::now() - begin_;
  std::string text = fmt::format("{}: step {} of {}, epoch {} of {}, {} steps in {}",
                                 paused ? "paused by run.pause_epoch" : meaning_of(code),
                                 place.step, place.total_steps, place.epoch + 1, config_.run.epochs,
                                 place.step - first_step_, duration_text(time.count()));
  if (saves.best_top1 >= 0) {
    text += fmt::format("\n  best top-1      {:.2f} %  {}", saves.best_top1,
                        (saves.best / "model.pt").string());
  }
  if (!saves.newest.empty()) {
    text += fmt::format("\n  newest          {}", (saves.newest / "model.pt").string());
  }
  if (code == ExitCode::kStopped) text += "\n  to go on        start the same command again";
  spdlog::info("{}", text);
}

// The line of a file that cannot be written would only fail again.
void RunLog::failed(const LoggedPlace& place, const Error& error) {
  if (error.exit_code() == ExitCode::kOutput) return;
  metrics_.write(
      {{"event", "end"}, {"step", place.step}, {"exit_code", static_cast<int>(error.exit_code())}});
  if (events_) events_->write_end(/*finished=*/false);
  spdlog::info("ended at step {} of {}: {}", place.step, place.total_steps,
               meaning_of(error.exit_code()));
}

}  // namespace resnext
