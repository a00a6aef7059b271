// Reading, overriding, printing and reading back; batches; every preset.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/yaml_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <type_traits>

#include "comm/common/error.h"
#include "configs/run_keys.h"
#include "tests/configs/temporary_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

RunConfig read(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return read_run_config(TemporaryFile(yaml).path(), overrides);
}

template <typename T>
bool same(const T& a, const T& b) {
  return a == b;
}
bool same(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

// Names of the keys whose members differ.
std::vector<std::string> differences(RunConfig a, RunConfig b) {
  std::vector<std::string> names;
  for (const RunKey& key : run_keys()) {
    const bool equal = std::visit(
        [&](const auto& field) {
          if constexpr (std::is_same_v<std::decay_t<decltype(field)>, ChoiceField>) {
            return field.get(a) == field.get(b);
          } else {
            return same(field.at(a), field.at(b));
          }
        },
        key.field);
    if (!equal) names.emplace_back(key.name);
  }
  return names;
}

const std::vector<std::string> kNone;

TEST(YamlReader, EmptyFileGivesTheDefaults) {
  for (const char* yaml : {"", "# nothing\n", "---\n", "run: {}\n", "~"}) {
    EXPECT_EQ(differences(read(yaml), RunConfig{}), std::vector<std::string>{"run.name"}) << yaml;
  }
}

TEST(YamlReader, NameComesFromTheFile) {
  const TemporaryFile file("run: {epochs: 3}");
  EXPECT_EQ(read_run_config(file.path(), {}).run.name, fs::path(file.path()).stem().string());
  EXPECT_EQ(read("run: {name: mine}").run.name, "mine");
}

TEST(YamlReader, ReadsEveryType) {
  const RunConfig config = read(R"(
run: {seed: 18446744073709551615, output: runs/a b, deterministic: true, resume: 'none'}
model:
  family: cifar
  depth: 29
  block: B
  stem:
    kernel: 5
    pool: true
optimizer:
  base_lr: +2.5e-1
  weight_decay: .0005
schedule: {milestones: [1.5, 60], kind: cosine}
)");
  EXPECT_EQ(config.run.seed, 18446744073709551615u);
  EXPECT_EQ(config.run.output, "runs/a b");
  EXPECT_TRUE(config.run.deterministic);
  EXPECT_EQ(config.run.resume, "none");
  EXPECT_EQ(config.model.family, Family::kCifar);
  EXPECT_EQ(config.model.block, Block::kB);
  EXPECT_EQ(config.model.stem.kernel, 5);
  EXPECT_EQ(config.model.stem.pool, StemPool::kOn);
  EXPECT_EQ(config.optimizer.base_lr, 0.25);
  EXPECT_EQ(config.optimizer.weight_decay, 0.0005);
  EXPECT_EQ(config.schedule.milestones, (std::vector<double>{1.5, 60}));
  EXPECT_EQ(config.schedule.kind, ScheduleKind::kCosine);
}

// The table of keys maps the n-th spelling to the enumerator of value n.
TEST(YamlReader, SpellingsMatchTheEnumerators) {
  const auto one = [](const std::string& override) { return read("", {override}); };
  EXPECT_EQ(one("model.block=resnet").model.block, Block::kResnet);
  EXPECT_EQ(one("model.block=B").model.block, Block::kB);
  EXPECT_EQ(one("model.shortcut=C").model.shortcut, Shortcut::kC);
  EXPECT_EQ(one("model.shortcut=A").model.shortcut, Shortcut::kA);
  EXPECT_EQ(one("model.stem.pool=true").model.stem.pool, StemPool::kOn);
  EXPECT_EQ(one("model.stem.pool=false").model.stem.pool, StemPool::kOff);
  EXPECT_EQ(one("data.recipe=seed").data.recipe, RecipeName::kSeed);
  EXPECT_EQ(one("data.recipe=torchvision-v2").data.recipe, RecipeName::kTorchvisionV2);
  EXPECT_EQ(one("data.recipe=cifar").data.recipe, RecipeName::kCifar);
  EXPECT_EQ(one("data.recipe=none").data.recipe, RecipeName::kNone);
  EXPECT_EQ(one("data.shuffle=block").data.shuffle, Shuffle::kBlock);
  EXPECT_EQ(one("precision.compute=tf32").precision.compute, Compute::kTf32);
  EXPECT_EQ(one("precision.compute=bf16").precision.compute, Compute::kBf16);
  EXPECT_EQ(one("precision.compute=fp16").precision.compute, Compute::kFp16);
  EXPECT_EQ(one("precision.compute=fp64").precision.compute, Compute::kFp64);
  EXPECT_EQ(one("comm.backend=mpi").comm.backend, Backend::kMpi);
  EXPECT_EQ(one("comm.backend=nccl").comm.backend, Backend::kNccl);
  EXPECT_EQ(one("comm.compress=bf16").comm.compress, Compression::kBf16);
}

TEST(YamlReader, OverridesComeAfterTheFileAndTheLastOneCounts) {
  const RunConfig config =
      read("run: {epochs: 40}\ndata: {validation: a.h5}",
           {"run.epochs=50", "optimizer.base_lr=0.2", "run.epochs=60",
            "schedule.milestones=[30,60]", "data.validation=\"\"", "run.output=runs/lr=0.2"});
  EXPECT_EQ(config.run.epochs, 60);
  EXPECT_EQ(config.optimizer.base_lr, 0.2);
  EXPECT_EQ(config.schedule.milestones, (std::vector<double>{30, 60}));
  EXPECT_TRUE(config.data.validation.empty());
  EXPECT_EQ(config.run.output, "runs/lr=0.2");
  EXPECT_TRUE(read("", {"schedule.milestones=[]"}).schedule.milestones.empty());
}

TEST(YamlReader, ASplitIsOneFileOrSeveral) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(read("data: {train: a.h5}").data.train, (Texts{"a.h5"}));
  EXPECT_EQ(read("data: {train: [a.h5, 'b.h5:/g']}").data.train, (Texts{"a.h5", "b.h5:/g"}));
  EXPECT_EQ(read("", {"data.validation=[a.h5, b.h5]"}).data.validation, (Texts{"a.h5", "b.h5"}));
  EXPECT_TRUE(read("data: {train: a.h5}", {"data.train=[]"}).data.train.empty());
  EXPECT_THROW(read("data: {train: [a.h5, '']}"), ConfigError);
}

TEST(YamlReader, OneOfTheTwoBatchSizesIsKept) {
  const auto sizes = [](const std::string& yaml, const std::vector<std::string>& overrides) {
    const BatchOptions batch = read(yaml, overrides).batch;
    return std::pair(batch.per_rank, batch.global);
  };
  EXPECT_EQ(sizes("", {}), std::pair(32L, 0L));
  EXPECT_EQ(sizes("batch: {global: 256}", {}), std::pair(0L, 256L));
  EXPECT_EQ(sizes("batch: {per_rank: 0, global: 256}", {}), std::pair(0L, 256L));
  EXPECT_EQ(sizes("batch: {global: 256}", {"batch.per_rank=8"}), std::pair(8L, 0L));
  EXPECT_EQ(sizes("batch: {per_rank: 8}", {"batch.global=64"}), std::pair(0L, 64L));
}

TEST(YamlReader, ResizeIsFreeWhereNothingIsResized) {
  EXPECT_EQ(read("data: {recipe: cifar, size: 32, resize: 1}").data.resize, 1);
}

TEST(YamlReader, PrintedConfigurationIsDocumented) {
  const std::string yaml = to_yaml(RunConfig{});
  for (const RunKey& key : run_keys()) {
    EXPECT_NE(yaml.find("# " + std::string(key.doc) + "\n"), std::string::npos) << key.name;
    EXPECT_EQ(key.doc.find('\n'), std::string::npos) << key.name;
  }
}

TEST(YamlReader, EveryPresetLoadsAndRoundTrips) {
  int presets = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(RESNEXT_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path());
    ++presets;
    const RunConfig config = read_run_config(entry.path().string(), {});
    EXPECT_EQ(differences(read(to_yaml(config)), config), kNone);
    EXPECT_EQ(to_yaml(read(to_yaml(config))), to_yaml(config));
    EXPECT_EQ(config.run.output, "runs/" + entry.path().stem().string());
  }
  EXPECT_GE(presets, 9);
}

// The figures that the presets must have to be the published experiments.
TEST(YamlReader, PresetsFollowTheirSources) {
  const auto preset = [](const std::string& name) {
    return read_run_config(RESNEXT_SOURCE_DIR "/configs/" + name + ".yaml", {});
  };
  const RunConfig imagenet = preset("resnext101_64x4d");
  EXPECT_EQ(imagenet.model.cardinality * imagenet.model.base_width, 64 * 4);
  EXPECT_EQ(resolve_batch(imagenet.batch, 8).global, 256);
  EXPECT_EQ(imagenet.optimizer.weight_decay, 1e-4);
  EXPECT_EQ(imagenet.schedule.milestones, (std::vector<double>{30, 60, 90}));
  const RunConfig cifar = preset("cifar10_resnext29_16x64d");
  EXPECT_EQ(cifar.model.cardinality, 16);
  EXPECT_EQ(resolve_batch(cifar.batch, 2).per_rank, 64);
  EXPECT_EQ(cifar.optimizer.weight_decay, 5e-4);
  EXPECT_EQ(cifar.schedule.milestones, (std::vector<double>{150, 225}));
  EXPECT_EQ(cifar.run.epochs, 300);
  const RunConfig se = preset("se_resnext152_64x4d");
  EXPECT_EQ(se.model.se_reduction, 16);
  EXPECT_EQ(resolve_batch(se.batch, 32).global, 1024);
  EXPECT_EQ(se.optimizer.base_lr * 1024 / static_cast<double>(se.optimizer.base_batch), 0.6);
}

// ---- random configurations ------------------------------------------------------------------

double real_in(const Interval& range) {
  const auto bits = *rc::gen::arbitrary<uint64_t>();
  const double value = range.min + (range.max - range.min) *
                                       (static_cast<double>(bits >> 11) * 0x1p-53);  // in [0, 1)
  const double tiny = std::bit_cast<double>(bits >> 2);  // any exponent up to 2
  if (range.contains(tiny) && bits % 3 == 0) return tiny;
  return range.contains(value) ? value : (range.min + range.max) / 2;
}

// UTF-8 without NUL, which is all that a text may not hold.
std::string any_text(bool may_be_empty) {
  std::string text = may_be_empty ? "" : "x";
  const auto parts = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "a", " ", "\"", "\\", "'", "\n", "\t", "#", ": ", "é", "漢", "\x01", "\x7f", "{", "~", "%"));
  for (const std::string& part : parts) text += part;
  return text;
}

void randomise(const RunKey& key, RunConfig& config) {
  std::visit(
      [&](const auto& field) {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (std::is_same_v<Field, IntField>) {
          field.at(config) =
              *rc::gen::resize(rc::kNominalSize * 10, rc::gen::inRange(field.min, field.max + 1));
        } else if constexpr (std::is_same_v<Field, RealField>) {
          field.at(config) = real_in(field.range);
        } else if constexpr (std::is_same_v<Field, RealListField>) {
          auto& list = field.at(config);
          list.assign(static_cast<size_t>(*rc::gen::inRange(0, 6)), 0);
          for (double& element : list) element = real_in(field.range);
          std::ranges::sort(list);
          list.erase(std::unique(list.begin(), list.end()), list.end());
        } else if constexpr (std::is_same_v<Field, TextField>) {
          field.at(config) = any_text(field.may_be_empty);
        } else if constexpr (std::is_same_v<Field, TextListField>) {
          field.at(config).resize(static_cast<size_t>(*rc::gen::inRange(0, 4)));
          for (std::string& text : field.at(config)) text = any_text(/*may_be_empty=*/false);
        } else if constexpr (std::is_same_v<Field, ChoiceField>) {
          const auto count = static_cast<int>(split_spellings(field.spellings).size());
          field.set(config, *rc::gen::inRange(0, count));
        } else {
          field.at(config) = *rc::gen::arbitrary<std::decay_t<decltype(field.at(config))>>();
        }
      },
      key.field);
}

// Undoes what makes a random configuration contradict itself.
void make_consistent(RunConfig& config) {
  if (config.run.name.empty()) config.run.name = "x";
  config.model.depth = config.model.family == Family::kCifar ? 29 : 101;
  config.model.stem.kernel |= 1;
  config.model.stem.width = 64;
  config.model.reset_classifier = config.model.reset_classifier && !config.model.pretrained.empty();
  if (config.model.pretrained.empty()) config.model.pretrained_key.clear();
  if (config.model.norm != Norm::kGroup) config.model.norm_group = 0;
  if (config.model.norm == Norm::kGroup && config.model.norm_group == 0)
    config.model.norm_group = 2;
  const bool mixes = config.mix.mixup > 0 || config.mix.cutmix > 0;
  if (mixes || config.optimizer.loss != LossKind::kCrossEntropy) {
    config.data.class_weights = ClassWeights::kNone;
  }
  config.data.resize = std::max(config.data.resize, evaluation_size(config.data));
  config.data.crops = config.data.crops > 5 ? 10 : 1;
  config.model.freeze = std::min<int64_t>(config.model.freeze, 3);
  if (config.data.augment.erasing < 0) config.data.augment.erasing = -1;
  if (config.data.recipe == RecipeName::kSeed) {
    config.data.interpolation = Interpolation::kAuto;
    config.data.augment.policy = AugmentPolicy::kNone;
    config.data.augment.erasing = -1;
  }
  config.data.early_sizes = {1};
  config.data.early_size_epochs = {3};
  (config.run.seed % 2 == 0 ? config.batch.global : config.batch.per_rank) = 0;
  if (config.batch.global == 0 && config.batch.per_rank == 0) config.batch.per_rank = 1;
  config.optimizer.nesterov = config.optimizer.nesterov && config.optimizer.momentum > 0;
  config.schedule.warmup_epochs =
      std::min(config.schedule.warmup_epochs, static_cast<double>(config.run.epochs));
  config.schedule.cooldown_epochs = 0;
  if (config.schedule.warmup_start < 0) config.schedule.warmup_start = -1;
}

RC_GTEST_PROP(YamlReaderProperty, RandomConfigurationsRoundTripExactly, ()) {
  RunConfig config;
  for (const RunKey& key : run_keys()) randomise(key, config);
  make_consistent(config);
  const std::string yaml = to_yaml(config);
  RC_LOG() << yaml;
  RC_ASSERT(differences(read(yaml), config) == kNone);
}

// ---- batches --------------------------------------------------------------------------------

TEST(ResolveBatch, PerRankTimesRanksTimesAccumulation) {
  const BatchOptions batch = resolve_batch({.per_rank = 32, .global = 0, .accumulation = 2}, 8);
  EXPECT_EQ(batch.global, 512);
  EXPECT_EQ(batch.per_rank, 32);
}

TEST(ResolveBatch, GlobalIsDividedAndKeptWhenResolvedAgain) {
  BatchOptions batch = resolve_batch({.per_rank = 0, .global = 256, .accumulation = 2}, 8);
  EXPECT_EQ(batch.per_rank, 16);
  EXPECT_EQ(resolve_batch(batch, 8).per_rank, 16);
  batch = resolve_batch(batch, 4);
  EXPECT_EQ(batch.per_rank, 32);
  EXPECT_EQ(batch.global, 256);
}

std::string batch_complaint(const BatchOptions& batch, int world_size) {
  try {
    resolve_batch(batch, world_size);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(ResolveBatch, SaysWhatWouldFit) {
  EXPECT_EQ(batch_complaint({0, 100, 1}, 8),
            "batch.global: a global batch of 100 cannot be split evenly over 8 ranks with "
            "batch.accumulation 1; set batch.global to 96 or 104, or run with one of these world "
            "sizes: 1, 2, 4, 5, 10");
  EXPECT_NE(batch_complaint({0, 3, 2}, 4).find("set batch.global to 8"), std::string::npos);
  EXPECT_EQ(batch_complaint({0, 3, 2}, 4).find("world sizes"), std::string::npos);
  EXPECT_NE(batch_complaint({32, 0, 1}, 0).find("not positive"), std::string::npos);
}

TEST(ToYaml, AResolvedBatchKeepsItsGlobalSize) {
  RunConfig config;
  config.batch = resolve_batch(config.batch, 4);
  const BatchOptions read_back = read(to_yaml(config)).batch;
  EXPECT_EQ(read_back.global, 128);
  EXPECT_EQ(read_back.per_rank, 0);
}

}  // namespace
}  // namespace resnext
