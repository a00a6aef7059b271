// The presets of recipes against their sources, constant by constant: what is not listed here has
// the value of a default.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <string>

#include "configs/yaml_reader.h"

namespace resnext {
namespace {

struct Preset {
  RunConfig config;

  Preset(int64_t depth, int64_t cardinality, int64_t width, int64_t epochs, int64_t batch) {
    config.model.depth = depth;
    config.model.cardinality = cardinality;
    config.model.base_width = width;
    config.run.epochs = epochs;
    config.batch = {.per_rank = 0, .global = batch};
    config.optimizer.base_batch = batch;
    config.optimizer.nesterov = false;
    config.data.train = {"datasets/imagenet/train.h5"};
    config.data.validation = {"datasets/imagenet/val.h5"};
    config.data.threads = 8;
    config.data.recipe = RecipeName::kTorchvision;
  }

  void expect(const std::string& name) {
    SCOPED_TRACE(name);
    const std::string file = RESNEXT_SOURCE_DIR "/configs/" + name + ".yaml";
    config.run.name = name;
    config.run.output = "runs/" + name;
    EXPECT_EQ(to_yaml(read_run_config(file, {})), to_yaml(config));
  }
};

// pytorch/vision, references/classification: README and train.py of 2019.
TEST(RecipePresets, TorchvisionV1) {
  Preset(50, 32, 4, 100, 256).expect("torchvision_v1_resnext50_32x4d");
  Preset(101, 32, 8, 100, 64 * 32).expect("torchvision_v1_resnext101_32x8d");
}

// pytorch/vision: blog of November 2021, pull requests 4900 and 5935, train.py.
TEST(RecipePresets, TorchvisionV2) {
  Preset preset(50, 32, 4, 600, 8 * 128);
  RunConfig& c = preset.config;
  c.data.interpolation = Interpolation::kBilinear;
  c.data.augment.policy = AugmentPolicy::kTrivial;
  c.data.augment.erasing = 0.1;
  c.data.size = 176;
  c.data.evaluation_size = 224;
  c.data.resize = 232;
  c.optimizer.base_lr = 0.5;
  c.optimizer.weight_decay = 2e-5;
  c.optimizer.decay_norms = false;
  c.optimizer.decay_biases = true;
  c.optimizer.label_smoothing = 0.1;
  c.schedule.kind = ScheduleKind::kCosine;
  c.schedule.warmup_epochs = 5;
  c.schedule.warmup_start = 0.01;
  c.schedule.per_epoch = true;
  EXPECT_NEAR(1 - (1 - 0.99998) * 8 * 128 * 32 / 600, 0.998908, 5e-7);
  c.ema.decay = 0.998908;
  c.ema.every_steps = 32;
  c.ema.warmup_epochs = 5;
  c.mix.mixup = 0.2;
  c.mix.cutmix = 1;
  preset.expect("torchvision_v2_resnext50_32x4d");
  c.model.depth = 101;
  c.model.cardinality = 64;
  c.data.repeats = 4;
  preset.expect("torchvision_v2_resnext101_64x4d");
}

// NVIDIA/DeepLearningExamples, PyTorch/Classification/ConvNets.
TEST(RecipePresets, Nvidia) {
  Preset preset(101, 32, 4, 90, 8 * 128);
  RunConfig& c = preset.config;
  c.optimizer.base_lr = 1.024 / 1024;
  c.optimizer.base_batch = 1;
  c.optimizer.momentum = 0.875;
  c.optimizer.weight_decay = 1.0 / 16384;
  c.optimizer.decay_norms = false;
  c.optimizer.decay_biases = true;
  c.optimizer.label_smoothing = 0.1;
  c.schedule.kind = ScheduleKind::kCosine;
  c.schedule.warmup_epochs = 8;
  c.schedule.per_epoch = true;
  preset.expect("nvidia_90e_resnext101_32x4d");
  c.model.se_reduction = 16;
  preset.expect("nvidia_90e_se_resnext101_32x4d");
  c.run.epochs = 250;
  c.mix.mixup = 0.2;
  preset.expect("nvidia_250e_se_resnext101_32x4d");
  c.model.se_reduction = 0;
  preset.expect("nvidia_250e_resnext101_32x4d");
}

// Wightman, Touvron, Jegou 2021, arXiv 2110.00476, table 2, and timm.
TEST(RecipePresets, ResNetStrikesBack) {
  Preset preset(50, 32, 4, 600, 2048);
  RunConfig& c = preset.config;
  c.model.stochastic_depth = 0.05;
  c.data.interpolation = Interpolation::kRandom;
  c.data.augment.policy = AugmentPolicy::kRand;
  c.data.augment.magnitude = 7;
  c.data.augment.deviation = 0.5;
  c.data.repeats = 3;
  c.data.evaluation_size = 224;
  c.data.resize = 235;  // floor(224 / 0.95)
  c.optimizer.kind = OptimizerKind::kLamb;
  c.optimizer.nesterov = true;  // not LAMB's
  c.optimizer.base_lr = 5e-3;
  c.optimizer.weight_decay = 0.01;
  c.optimizer.decay_norms = false;
  c.optimizer.clip_norm = 1;
  c.optimizer.loss = LossKind::kBce;
  c.optimizer.bce_threshold = 0.2;
  c.optimizer.label_smoothing = 0.1;
  c.schedule.kind = ScheduleKind::kCosine;
  c.schedule.min_lr = 1e-6;
  c.schedule.warmup_epochs = 5;
  c.schedule.warmup_start = 1e-4 / 5e-3;
  c.schedule.per_epoch = true;
  c.mix.mixup = 0.2;
  c.mix.cutmix = 1;
  preset.expect("rsb_a1_resnext50_32x4d");
  c.run.epochs = 300;
  c.optimizer.weight_decay = 0.02;
  c.optimizer.label_smoothing = 0;
  c.mix.mixup = 0.1;
  preset.expect("rsb_a2_resnext50_32x4d");
  c.run.epochs = 100;
  c.model.stochastic_depth = 0;
  c.data.augment.magnitude = 6;
  c.data.repeats = 1;
  c.data.size = 160;
  c.optimizer.base_lr = 8e-3;
  c.schedule.warmup_start = 1e-4 / 8e-3;
  preset.expect("rsb_a3_resnext50_32x4d");
}

// Goyal et al. 2017, arXiv 1706.02677.
TEST(RecipePresets, Goyal) {
  Preset preset(50, 32, 4, 90, 8192);
  RunConfig& c = preset.config;
  c.model.block = Block::kResnet;
  c.model.zero_gamma = true;
  c.optimizer.base_lr = 3.2 / 32;
  c.optimizer.base_batch = 256;
  c.optimizer.nesterov = true;
  c.optimizer.decay_norms = false;
  c.optimizer.decay_biases = true;
  c.schedule.milestones = {30, 60, 80};
  c.schedule.warmup_epochs = 5;
  preset.expect("goyal_8k_resnet50");
}

// mlcommons/logging, rcps_resnet.json of 4.0.0, "resnet_ref_3264"; mlcommons/training.
TEST(RecipePresets, MlperfLars) {
  Preset preset(50, 32, 4, 2 + 37, 16 * 204);
  RunConfig& c = preset.config;
  c.model.block = Block::kResnet;
  c.optimizer.kind = OptimizerKind::kLars;
  c.optimizer.base_lr = 10.5;
  c.optimizer.trust = 0.001;
  c.optimizer.weight_decay = 5e-5;
  c.optimizer.decay_norms = false;
  c.optimizer.label_smoothing = 0.1;
  c.schedule.kind = ScheduleKind::kPolynomial;
  c.schedule.power = 2;
  c.schedule.min_lr = 1e-4;
  c.schedule.warmup_epochs = 2;
  c.schedule.warmup_start = 0;
  preset.expect("mlperf_lars_resnet50");
}

}  // namespace
}  // namespace resnext
