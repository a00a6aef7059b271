// SPDX-License-Identifier: BSD-3-Clause
#include "worker/run_shape.h"

#include <spdlog/fmt/fmt.h>

namespace resnext {
namespace {

constexpr double kMiB = 1024 * 1024;

// Parameters, gradients and momentum, and what backward needs of one micro-batch.
double memory_mib(const RunConfig& config, const RunShape& shape) {
  const double scale = config.precision.compute == Compute::kFp64 ? 2 : 1;
  const auto weights = static_cast<double>(shape.cost.gradient_bytes);
  const auto activations = static_cast<double>(shape.cost.activation_bytes * shape.batch.per_rank);
  return scale * (3 * weights + activations) / kMiB;
}

std::string batch_text(const BatchOptions& batch, int world_size) {
  return fmt::format("{} = {} a rank x {} ranks x {} accumulation", batch.global, batch.per_rank,
                     world_size, batch.accumulation);
}

std::string lr_text(const OptimizerOptions& optimizer, const RunShape& shape) {
  return fmt::format("{:g} = {:g} x {} / {}", shape.effective_lr, optimizer.base_lr,
                     shape.batch.global, optimizer.base_batch);
}

}  // namespace

std::string to_table(const RunConfig& config, const RunShape& shape) {
  const ModelOptions& m = config.model;
  std::string table;
  const auto row = [&](std::string_view key, const std::string& value) {
    table += fmt::format("  {:<15} {}\n", key, value);
  };
  row("run", fmt::format("{} -> {}", config.run.name, config.run.output));
  row("model", fmt::format("ResNeXt-{} {}x{}d, {} classes", m.depth, m.cardinality, m.base_width,
                           m.classes));
  row("parameters", fmt::format("{} ({:.1f} MiB of gradients)", shape.cost.parameters,
                                static_cast<double>(shape.cost.gradient_bytes) / kMiB));
  row("multiply-adds",
      fmt::format("{:.3f} GMAC an image of {} px", shape.cost.gmac, config.data.size));
  row("world", fmt::format("{} ranks over {}, {} with {} threads each", shape.world_size,
                           shape.backend, shape.device, shape.threads));
  row("global batch", batch_text(shape.batch, shape.world_size));
  row("learning rate", lr_text(config.optimizer, shape));
  row("training", fmt::format("{} images, {} steps an epoch, {} steps", shape.train_images,
                              shape.steps_per_epoch, shape.total_steps));
  row("validation", fmt::format("{} images", shape.validation_images));
  row("memory", fmt::format("{:.0f} MiB a rank (estimate)", memory_mib(config, shape)));
  return table;
}

}  // namespace resnext
