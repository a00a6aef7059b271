// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/run_shape.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr double kMiB = 1024 * 1024;
constexpr double kGiB = 1024 * kMiB;

// Bytes of an activation, against the float32 that model_cost() counts in.
double activation_scale(Compute compute) {
  switch (compute) {
    case Compute::kFp64:
      return 2;
    case Compute::kBf16:
    case Compute::kFp16:
      return 0.5;
    default:
      return 1;
  }
}

// Numbers of a weight's size that training keeps of each: weight, gradient, the optimizer's
// state, the average.
double copies_of(const RunConfig& config) {
  const double average = config.ema.decay > 0 ? 1 : 0;
  switch (config.optimizer.kind) {
    case OptimizerKind::kLamb:
      return 5 + average;  // with the index of layerwise_rules.cpp
    case OptimizerKind::kLars:
    case OptimizerKind::kAdamw:
      return 4 + average;
    default:
      return 3 + average;
  }
}

std::string batch_text(const BatchOptions& batch, int world_size) {
  return fmt::format("{} = {} a rank x {} ranks x {} accumulation", batch.global, batch.per_rank,
                     world_size, batch.accumulation);
}

std::string memory_text(const RunShape& shape) {
  std::string text =
      fmt::format("{:.0f} MiB a rank (estimate)", static_cast<double>(shape.needed_bytes) / kMiB);
  if (shape.device_bytes > 0) {
    text += fmt::format(" of {:.0f} MiB", static_cast<double>(shape.device_bytes) / kMiB);
  }
  return text;
}

std::string lr_text(const OptimizerOptions& optimizer, const RunShape& shape) {
  return fmt::format("{:g} = {:g} x {} / {}", shape.effective_lr, optimizer.base_lr,
                     shape.batch.global, optimizer.base_batch);
}

}  // namespace

int64_t memory_estimate(const RunConfig& config, const RunShape& shape) {
  const double scale = activation_scale(config.precision.compute);
  const auto weights = static_cast<double>(shape.cost.gradient_bytes) * std::max(scale, 1.0);
  // Autocast keeps one more in the reduced type.
  const double copies = copies_of(config) + (scale < 1 ? scale : 0);
  const auto activations = static_cast<double>(shape.cost.activation_bytes * shape.batch.per_rank);
  return static_cast<int64_t>(copies * weights + scale * activations);
}

void check_memory(const RunShape& shape) {
  if (shape.device_bytes == 0 || shape.needed_bytes <= shape.device_bytes) return;
  throw ConfigError(
      "batch.per_rank",
      fmt::format("{} images need about {:.1f} GiB, {} has {:.1f} GiB", shape.batch.per_rank,
                  static_cast<double>(shape.needed_bytes) / kGiB, shape.device,
                  static_cast<double>(shape.device_bytes) / kGiB),
      "lower it and raise batch.accumulation, set precision.compute to bf16, or "
      "model.recompute_stages");
}

void check_statistics(const RunConfig& config, const RunShape& shape) {
  if (shape.batch.per_rank * shape.norm_ranks > 1) return;
  for (const LayerShape& layer : layer_shapes(config.model, config.data.size)) {
    if (layer.kind != LayerKind::kBatchNorm || layer.output_side > 1) continue;
    throw ConfigError("batch.per_rank",
                      fmt::format("one image of {} px leaves {} a single value a channel to "
                                  "normalise over",
                                  config.data.size, layer.name),
                      "give a rank 2 images or more, or a larger data.size");
  }
}

std::string to_table(const RunConfig& config, const RunShape& shape) {
  const ModelOptions& m = config.model;
  std::string table;
  const auto row = [&](std::string_view key, const std::string& value) {
    table += fmt::format("  {:<15} {}\n", key, value);
  };
  row("run", fmt::format("{} -> {}", config.run.name, config.run.output));
  row("model", fmt::format("{}ResNeXt-{} {}x{}d, {} classes", m.se_reduction > 0 ? "SE-" : "",
                           m.depth, m.cardinality, m.base_width, m.classes));
  row("parameters", fmt::format("{} ({:.1f} MiB of gradients)", shape.cost.parameters,
                                static_cast<double>(shape.cost.gradient_bytes) / kMiB));
  row("multiply-adds",
      fmt::format("{:.3f} GMAC an image of {} px", shape.cost.gmac, config.data.size));
  row("world", fmt::format("{} ranks over {}, {} with {} threads each", shape.world_size,
                           shape.backend, shape.device, shape.threads));
  row("global batch", batch_text(shape.batch, shape.world_size));
  if (shape.norm_ranks > 1) {
    row("batch norm", fmt::format("statistics of {} images, over {} ranks",
                                  shape.batch.per_rank * shape.norm_ranks, shape.norm_ranks));
  }
  row("learning rate", lr_text(config.optimizer, shape));
  row("training", fmt::format("{} images, {} steps an epoch, {} steps", shape.train_images,
                              shape.steps_per_epoch, shape.total_steps));
  row("validation", fmt::format("{} images", shape.validation_images));
  row("memory", memory_text(shape));
  return table;
}

}  // namespace resnext
