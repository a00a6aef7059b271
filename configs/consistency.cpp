// Consistency checks, one function a section.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/consistency.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "comm/common/error.h"

namespace resnext {
namespace {

void check_depth(const ModelOptions& model, const KeyLocation& where) {
  if (model.family == Family::kImagenet) {
    if (model.depth == 50 || model.depth == 101 || model.depth == 152) return;
    throw ConfigError(where("model.depth"),
                      fmt::format("model.depth {} does not exist in family imagenet", model.depth),
                      "use 50, 101 or 152, or model.family cifar");
  }
  const int64_t extra = (model.depth - 2) % 9;
  if (extra == 0) return;
  const int64_t below = std::max<int64_t>(11, model.depth - extra);
  throw ConfigError(where("model.depth"),
                    fmt::format("model.depth {} is not 9n+2, as family cifar needs", model.depth),
                    fmt::format("use {} or {}", below, below + 9));
}

void check_widths(const ModelOptions& model, const KeyLocation& where) {
  constexpr int64_t kFullWidth = 64;  // base_width counts at this width of the first stage
  const int64_t planes = model.stem.width == 0 ? kFullWidth : model.stem.width;
  if (model.block == Block::kResnet || planes * model.base_width >= kFullWidth) return;
  throw ConfigError(
      where("model.base_width"),
      fmt::format("model.base_width {} at model.stem.width {} leaves a path of the "
                  "first stage without channels",
                  model.base_width, planes),
      fmt::format("use a model.base_width of at least {}", (kFullWidth + planes - 1) / planes));
}

void check_model(const ModelOptions& model, const KeyLocation& where) {
  check_depth(model, where);
  check_widths(model, where);
  if (model.stem.kernel != 0 && model.stem.kernel % 2 == 0) {
    throw ConfigError(where("model.stem.kernel"),
                      fmt::format("model.stem.kernel {} is even", model.stem.kernel),
                      "use an odd side, which can be padded equally, or 0 for the family's own");
  }
  if ((model.norm == Norm::kGroup) != (model.norm_group > 0)) {
    throw ConfigError(where("model.norm_group"),
                      "model.norm group and model.norm_group go together",
                      "set both, such as model.norm=group model.norm_group=8, or neither");
  }
  const int64_t stages = model.family == Family::kImagenet ? 4 : 3;
  if (model.freeze > stages) {
    throw ConfigError(
        where("model.freeze"),
        fmt::format("model.freeze {} is more than the network's {} stages", model.freeze, stages),
        fmt::format("use at most {}: the classifier is always trained", stages));
  }
  if (!model.pretrained_key.empty() && model.pretrained.empty()) {
    throw ConfigError(
        where("model.pretrained_key"),
        "model.pretrained_key is set, but there is no model.pretrained to choose from",
        "set model.pretrained or leave model.pretrained_key out");
  }
  if (model.reset_classifier && model.pretrained.empty()) {
    throw ConfigError(where("model.reset_classifier"),
                      "model.reset_classifier is true, but there is no model.pretrained to load",
                      "set model.pretrained or leave model.reset_classifier out");
  }
}

void check_data(const DataOptions& data, const KeyLocation& where) {
  if (data.crops != 1 && data.crops != 10) {
    throw ConfigError(where("data.crops"), fmt::format("data.crops is {}", data.crops),
                      "use 1 (the centre) or 10 (centre and corners, mirrored too)");
  }
  if (const double erasing = data.augment.erasing; erasing < 0 && erasing != -1) {
    throw ConfigError(where("data.augment.erasing"),
                      fmt::format("data.augment.erasing {} is not a probability", erasing),
                      "give a number from 0 to 1, or -1 for the recipe's own");
  }
  const int64_t size = evaluation_size(data);
  if (data.recipe == RecipeName::kCifar || data.resize >= size) return;
  const char* key = data.evaluation_size > 0 ? "data.evaluation_size" : "data.size";
  throw ConfigError(
      where("data.resize"),
      fmt::format("data.resize {} is less than {} {}, so the centre crop does not fit", data.resize,
                  key, size),
      fmt::format("use a data.resize of at least {}", size));
}

// Random images say nothing about others, and have no datasets to name.
void check_synthetic(const DataOptions& data, const KeyLocation& where) {
  const bool train = is_synthetic(data.train), validation = is_synthetic(data.validation);
  if (!train && !validation) return;
  if (!data.train.empty() && !data.validation.empty() && train != validation) {
    const char* key = train ? "data.validation" : "data.train";
    throw ConfigError(where(key),
                      fmt::format("{} is a file, but {} is synthetic: random images", key,
                                  train ? "data.train" : "data.validation"),
                      "make both synthetic, or data.validation empty");
  }
  for (const auto& [key, name] : {std::pair{"data.images", &data.images},
                                  {"data.labels", &data.labels},
                                  {"data.validation_labels", &data.validation_labels}}) {
    if (name->empty()) continue;
    throw ConfigError(where(key),
                      fmt::format("{} names a dataset, but the data are synthetic", key),
                      "leave it out, or name a file as data.train");
  }
}

// A weight belongs to an image's one class.
void check_class_weights(const RunConfig& config, const KeyLocation& where) {
  if (config.data.class_weights == ClassWeights::kNone) return;
  const bool mixes = config.mix.mixup > 0 || config.mix.cutmix > 0;
  if (!mixes && config.optimizer.loss == LossKind::kCrossEntropy) return;
  throw ConfigError(where("data.class_weights"),
                    fmt::format("data.class_weights weighs images by their one class, which {}",
                                mixes ? "mixed images do not have" : "optimizer.loss bce does not"),
                    "set it to none, or leave mix.mixup, mix.cutmix and optimizer.loss out");
}

// The seed's recipe is its own arithmetic, in float32, which the options for bytes do not know.
void check_seed_recipe(const DataOptions& data, const KeyLocation& where) {
  if (data.recipe != RecipeName::kSeed) return;
  const AugmentOptions& augment = data.augment;
  const bool plain =
      augment.policy == AugmentPolicy::kRecipe || augment.policy == AugmentPolicy::kNone;
  const char* key = data.interpolation != Interpolation::kAuto ? "data.interpolation"
                    : !plain                                   ? "data.augment.policy"
                    : augment.erasing > 0                      ? "data.augment.erasing"
                                                               : nullptr;
  if (key == nullptr) return;
  throw ConfigError(where(key),
                    fmt::format("data.recipe seed has its own arithmetic, without {}", key),
                    "leave it out, or set data.recipe to torchvision");
}

void check_early_sizes(const DataOptions& data, const KeyLocation& where) {
  const auto& sizes = data.early_sizes;
  if (sizes.size() != data.early_size_epochs.size()) {
    throw ConfigError(where("data.early_sizes"),
                      fmt::format("data.early_sizes are {}, data.early_size_epochs {}",
                                  sizes.size(), data.early_size_epochs.size()),
                      "give one epoch, at which it ends, for each size");
  }
  const auto whole = [](double number) { return number == std::floor(number); };
  if (!std::ranges::is_sorted(data.early_size_epochs, std::less_equal<>{}) ||
      !std::ranges::all_of(data.early_size_epochs, whole)) {
    throw ConfigError(where("data.early_size_epochs"),
                      "data.early_size_epochs are not whole numbers in ascending order, each once",
                      "sort them, such as [10, 20]");
  }
  const auto fits = [&](double size) {
    return whole(size) && size <= static_cast<double>(data.size);
  };
  if (std::ranges::all_of(sizes, fits)) return;
  throw ConfigError(
      where("data.early_sizes"),
      fmt::format("data.early_sizes are not whole numbers up to data.size ({})", data.size),
      "give smaller sizes first, such as [128, 160]");
}

void check_optimizer(const OptimizerOptions& optimizer, const KeyLocation& where) {
  const bool has_momentum =
      optimizer.kind == OptimizerKind::kSgd || optimizer.kind == OptimizerKind::kLars;
  if (!has_momentum || !optimizer.nesterov || optimizer.momentum > 0) return;
  throw ConfigError(where("optimizer.momentum"),
                    "optimizer.nesterov is true, but optimizer.momentum is 0",
                    "set optimizer.nesterov to false or give a momentum");
}

void check_spans(const RunConfig& config, const KeyLocation& where) {
  const ScheduleOptions& schedule = config.schedule;
  const auto epochs = static_cast<double>(config.run.epochs);
  if (schedule.warmup_epochs > epochs) {
    throw ConfigError(
        where("schedule.warmup_epochs"),
        fmt::format("schedule.warmup_epochs is longer than run.epochs ({})", config.run.epochs),
        "use a shorter warm-up or more run.epochs");
  }
  if (schedule.warmup_epochs + schedule.cooldown_epochs > epochs) {
    throw ConfigError(where("schedule.cooldown_epochs"),
                      fmt::format("schedule.warmup_epochs and cooldown_epochs together are longer "
                                  "than run.epochs ({})",
                                  config.run.epochs),
                      "use a shorter cool-down or more run.epochs, which count it");
  }
  if (schedule.cooldown_epochs > 0 && schedule.kind != ScheduleKind::kStep &&
      schedule.min_lr == 0) {
    throw ConfigError(where("schedule.cooldown_epochs"),
                      "the epochs of schedule.cooldown_epochs would train at schedule.min_lr, 0",
                      "set schedule.min_lr above 0 or leave schedule.cooldown_epochs out");
  }
}

void check_schedule(const RunConfig& config, const KeyLocation& where) {
  const auto& milestones = config.schedule.milestones;
  if (!std::ranges::is_sorted(milestones, std::less_equal<>{})) {
    throw ConfigError(where("schedule.milestones"),
                      "schedule.milestones are not in ascending order, each once",
                      "sort them, such as [30, 60, 90]");
  }
  check_spans(config, where);
  const double start = config.schedule.warmup_start;
  if (start < 0 && start != -1) {
    throw ConfigError(where("schedule.warmup_start"),
                      fmt::format("schedule.warmup_start {} is not a share of the rate", start),
                      "give a number from 0 to 1, or -1 to begin at optimizer.base_lr");
  }
}

void check_batch(const BatchOptions& batch, const KeyLocation& where) {
  if (batch.per_rank != 0 || batch.global != 0) return;
  throw ConfigError(where("batch.per_rank"), "batch.per_rank and batch.global are both 0",
                    "set one of them");
}

}  // namespace

void check_consistency(const RunConfig& config, const KeyLocation& where) {
  check_model(config.model, where);
  check_data(config.data, where);
  check_synthetic(config.data, where);
  check_class_weights(config, where);
  check_early_sizes(config.data, where);
  check_seed_recipe(config.data, where);
  check_batch(config.batch, where);
  check_optimizer(config.optimizer, where);
  check_schedule(config, where);
}

}  // namespace resnext
