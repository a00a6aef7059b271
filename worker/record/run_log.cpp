// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/run_log.h"

#include <ATen/Version.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "configs/yaml_reader.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void write_config(const RunConfig& config) {
  const fs::path folder = config.run.output;
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::path partial = folder / "config.yaml.partial";
  std::ofstream stream(partial, std::ios::trunc);
  stream << to_yaml(config) << std::flush;
  if (stream && !error) fs::rename(partial, folder / "config.yaml", error);
  if (!stream || error) {
    throw OutputError(folder.string(), "the run folder cannot be written",
                      "set run.output to a folder that can be, or free space");
  }
}

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::lround(seconds));
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

}  // namespace

RunLog::RunLog(const RunConfig& config, const RunShape& shape, int rank, int64_t step)
    : config_(config), shape_(shape) {
  if (rank != 0) return;
  write_config(config);
  metrics_.emplace((fs::path(config.run.output) / "metrics.jsonl").string(), step);
  if (config.log.tensorboard) events_.emplace(config.run.output);
}

void RunLog::write(const Json& event) {
  if (metrics_) metrics_->write(event);
}

void RunLog::start(int64_t step) {
  if (!metrics_) return;
  spdlog::info("{}\n{}", step > 0 ? fmt::format("continuing after step {}", step) : "starting",
               to_table(config_, shape_));
  write({{"event", "start"},
         {"step", step},
         {"world_size", shape_.world_size},
         {"backend", shape_.backend},
         {"device", shape_.device},
         {"threads", shape_.threads},
         {"global_batch", shape_.batch.global},
         {"effective_lr", shape_.effective_lr},
         {"parameters", shape_.cost.parameters},
         {"gmac", shape_.cost.gmac},
         {"steps_per_epoch", shape_.steps_per_epoch},
         {"total_steps", shape_.total_steps},
         {"versions", {{"resnext", RESNEXT_VERSION}, {"libtorch", TORCH_VERSION}}}});
}

void RunLog::train(int64_t step, int64_t epoch, double lr, const Meters& meters) {
  if (!metrics_) return;
  const double step_ms = meters.mean_step_ms();
  const double images_per_second = static_cast<double>(shape_.batch.global) * 1000 / step_ms;
  const double wait = meters.mean_ms(Phase::kDataWait);
  spdlog::info(
      "epoch {}/{}  step {}/{}  loss {:.4f}  lr {:.4g}  {:.0f} img/s  data wait {:.1f} ms  left {}",
      epoch + 1, config_.run.epochs, step, shape_.total_steps, meters.mean_loss(), lr,
      images_per_second, wait,
      duration(static_cast<double>(shape_.total_steps - step) * step_ms / 1000));
  write({{"event", "train"},
         {"step", step},
         {"epoch", epoch},
         {"loss", meters.mean_loss()},
         {"lr", lr},
         {"images_per_second", images_per_second},
         {"data_wait_ms", wait},
         {"forward_ms", meters.mean_ms(Phase::kForward)},
         {"backward_ms", meters.mean_ms(Phase::kBackward)},
         {"exposed_comm_ms", meters.mean_ms(Phase::kExposedComm)},
         {"optimizer_ms", meters.mean_ms(Phase::kOptimizer)}});
  if (!events_) return;
  events_->write(step, {{"train/loss", meters.mean_loss()},
                        {"train/lr", lr},
                        {"train/images_per_second", images_per_second},
                        {"train/exposed_comm_ms", meters.mean_ms(Phase::kExposedComm)}});
}

void RunLog::validation(int64_t step, int64_t epoch, const Accuracy& accuracy, bool best) {
  if (!metrics_) return;
  spdlog::info(
      "validation after epoch {}: top-1 {:.2f} %  top-5 {:.2f} %  loss {:.4f}  ({} images){}",
      epoch + 1, accuracy.top1, accuracy.top5, accuracy.loss, accuracy.images,
      best ? "  best so far" : "");
  write({{"event", "validation"},
         {"step", step},
         {"epoch", epoch},
         {"loss", accuracy.loss},
         {"top1", accuracy.top1},
         {"top5", accuracy.top5},
         {"images", accuracy.images}});
  if (!events_) return;
  events_->write(step, {{"validation/loss", accuracy.loss},
                        {"validation/top1", accuracy.top1},
                        {"validation/top5", accuracy.top5}});
}

void RunLog::end(int64_t step, ExitCode code) {
  if (!metrics_) return;
  write({{"event", "end"}, {"step", step}, {"exit_code", static_cast<int>(code)}});
}

}  // namespace resnext
