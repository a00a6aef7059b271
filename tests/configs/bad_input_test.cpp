// Every mistake that a user can make in a configuration, with what the message must say.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "tests/configs/temporary_file.h"

namespace resnext {
namespace {

// The message of the ConfigError that reading ends in; empty when it succeeds.
std::string complaint(const std::string& file, const std::vector<std::string>& overrides) {
  try {
    read_run_config(file, overrides);
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kConfig);
    return error.what();
  }
  return "";
}

void expect_fragments(const std::string& message, const std::vector<std::string>& fragments) {
  EXPECT_NE(message, "") << "was accepted";
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments) {
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
  }
}

struct BadFile {
  const char* yaml;
  std::vector<std::string> fragments;  // of the message, position included
};

const BadFile kBadFiles[] = {
    // syntax
    {"run: {epochs: 3", {":1:", "YAML syntax error"}},
    {"run:\n  epochs: 3\n bad", {":3:", "YAML syntax error"}},
    {"run: [", {"YAML syntax error"}},
    {"schedule:\n  milestones: [30, 60\n  gamma: 0.1", {"YAML syntax error"}},
    {"run:\n\tepochs: 3", {":2: a tab indents the line", "with spaces"}},
    {"\"run: 3", {"YAML syntax error"}},
    {"run: {}\n---\nrun: {}", {"more than one YAML document"}},
    {"%YAML 9.9\n---\nrun: {}", {"YAML syntax error"}},
    {"run: {name: a\x01}", {":1: control character 1", "UTF-8"}},
    {"run:\n  name: \"\xFF\xFE\"", {":2: the line is not UTF-8"}},
    // structure
    {"3", {":1:1", "'3' where sections are expected"}},
    {"[1, 2]", {":1:1", "a list where sections are expected"}},
    {"model: 50", {":1:8", "'model' is a section, but '50' was given", "family, depth"}},
    {"model: [1]", {"'model' is a section, but a list was given"}},
    {"model:\n  stem: 7", {":2:9", "'model.stem' is a section", "kernel, stride, width, pool"}},
    {"run:\n  epochs: {a: 1}", {":2:11", "'run.epochs' is a map, but a whole number"}},
    {"run.epochs: 3", {":1:1", "'run.epochs' is a dotted key, which only overrides take"}},
    {"? [run]\n: 3", {"a key is a list or a map"}},
    {"? {run: 1}\n: 3", {"a key is a list or a map"}},
    {"~: 3", {"a key is empty"}},
    {"run: &a {epochs: 3}\nmodel: *a", {":2:8", "alias"}},
    {"run: !python/object {epochs: 3}", {"the tag '!python/object' is not understood"}},
    {"run: {epochs: !!int 3}", {"the tag"}},
    // unknown and duplicate keys
    {"optimiser: {}", {":1:1", "unknown key 'optimiser'", "did you mean 'optimizer'?"}},
    {"run:\n  epoch: 3", {":2:3", "unknown key 'run.epoch'", "did you mean 'run.epochs'?"}},
    {"epochs: 3", {"'epochs' belongs to the section 'run': write run.epochs"}},
    {"model: {base_lr: 3}", {"'base_lr' belongs to the section 'optimizer'"}},
    {"model: {kernel: 3}", {"'kernel' belongs to the section 'model.stem'"}},
    {"optimizer: {lr: 3}", {"did you mean 'optimizer.base_lr'?"}},
    {"optimizer: {base-lr: 3}", {"did you mean 'optimizer.base_lr'?"}},
    {"model: {Depth: 50}", {"did you mean 'model.depth'?"}},
    {"data: {xyzzy: 3}",
     {"unknown key 'data.xyzzy'", "its section has the keys train, validation"}},
    {"xyzzyxyzzy: 3", {"the sections are run, model, data"}},
    {"\"\": 3", {":1:1: a key is empty"}},
    {"\"\": {run: {epochs: 3}}", {"a key is empty"}},
    {"<<: {run: 3}", {"unknown key '<<'"}},
    {"run: {epochs: 3, epochs: 4}", {":1:18", "'run.epochs' is given twice", "keep one"}},
    {"run: {}\nrun: {}", {":2:1", "'run' is given twice"}},
    // empty values
    {"run:", {"'run' has no value"}},
    {"run:\n  epochs:", {"'run.epochs' has no value", "use its default"}},
    {"run: {epochs: ~}", {"'run.epochs' has no value"}},
    {"run: {name: null}", {"'run.name' has no value"}},
    {"run: {output: \"\"}", {"run.output: '' is empty", "non-empty text"}},
    {"schedule: {milestones: [30, ~]}", {"'schedule.milestones' has an empty element"}},
    // wrong types
    {"run: {epochs: many}", {":1:15", "run.epochs: 'many' is not a whole number", "from 1 to"}},
    {"run: {epochs: 3.5}", {"run.epochs: '3.5' is not a whole number"}},
    {"run: {epochs: 1e3}", {"'1e3' is not a whole number"}},
    {"run: {epochs: 0x10}", {"'0x10' is not a whole number"}},
    {"run: {epochs: \"3\"}", {"run.epochs: '3' is quoted text, not a whole number"}},
    {"run: {epochs: [3]}", {"run.epochs is a list, but a whole number", "give one value"}},
    {"run: {seed: -1}", {"run.seed: '-1' is not a whole number", "from 0 to 18446744073709551615"}},
    {"run: {deterministic: yes}", {"'yes' is not true or false", "give true or false"}},
    {"run: {deterministic: \"true\"}", {"is not true or false"}},
    {"optimizer: {base_lr: 0,1}", {"unknown key 'optimizer.1'"}},
    {"optimizer: {base_lr: 1/10}", {"optimizer.base_lr: '1/10' is not a number"}},
    {"optimizer: {base_lr: ++1}", {"'++1' is not a number"}},
    {"schedule: {milestones: 30}", {"schedule.milestones: '30' is not a list", "[30, 60, 90]"}},
    {"schedule: {milestones: [30, x]}", {":1:29", "schedule.milestones: 'x' is not a number"}},
    {"schedule: {milestones: [[30]]}", {"'schedule.milestones' has a list or map inside"}},
    {"schedule: {milestones: [{a: 1}]}", {"'schedule.milestones' has a list or map inside"}},
    {"model: {block: D}", {"model.block: 'D' is not one of its values", "one of C, B, resnet"}},
    {"model: {stem: {pool: on}}", {"'on' is not one", "one of auto, true, false"}},
    {"precision: {compute: float}", {"one of fp32, tf32, bf16, fp16, fp64"}},
    {"data: {recipe: torchvision_v2}", {"seed, torchvision, torchvision-v2, cifar, none"}},
    {"run: {name: [a]}", {"run.name is a list, but text is expected"}},
    {"run: {output: \"a\\0b\"}", {"contains a NUL character"}},
    // ranges, NaN, overflow
    {"run: {epochs: 0}", {"run.epochs: '0' is out of range", "from 1 to 1000000"}},
    {"run: {epochs: -3}", {"run.epochs: '-3' is out of range"}},
    {"run: {epochs: 9223372036854775808}", {"does not fit 64 bits"}},
    {"run: {seed: 18446744073709551616}", {"run.seed", "does not fit 64 bits"}},
    {"optimizer: {base_lr: 0}", {"optimizer.base_lr: '0' is out of range", "above 0 to 1000"}},
    {"optimizer: {base_lr: .nan}", {"optimizer.base_lr: '.nan' is not a finite number"}},
    {"optimizer: {base_lr: nan(1)}", {"optimizer.base_lr: 'nan(1)' is out of range"}},
    {"optimizer: {base_lr: -.inf}", {"'-.inf' is not a finite number"}},
    {"optimizer: {base_lr: Infinity}", {"'Infinity' is not a finite number"}},
    {"optimizer: {base_lr: 1e999}", {"does not fit 64 bits"}},
    {"optimizer: {momentum: 1}", {"optimizer.momentum: '1' is out of range", "from 0 to below 1"}},
    {"optimizer: {label_smoothing: 1.0}", {"optimizer.label_smoothing: '1.0' is out of range"}},
    {"schedule: {milestones: [0]}", {"schedule.milestones: '0' is out of range", "above 0"}},
    {"schedule: {milestones: [.inf]}", {"'.inf' is not a finite number"}},
    {"comm: {bucket_mib: 0}", {"comm.bucket_mib: '0' is out of range"}},
    {"checkpoint: {keep: 0}", {"checkpoint.keep: '0' is out of range"}},
    {"model: {recompute_stages: 5}", {"model.recompute_stages: '5' is out of range", "0 to 4"}},
    {"data: {threads: 100000}", {"data.threads: '100000' is out of range", "from 1 to 1024"}},
    // consistency
    {"model: {family: cifar, depth: 50}", {":1:31", "model.depth 50 is not 9n+2", "47 or 56"}},
    {"model: {family: cifar, depth: 12}", {"use 11 or 20"}},
    {"model: {depth: 34}", {"model.depth 34 does not exist in family imagenet", "50, 101 or 152"}},
    {"model: {base_width: 1, stem: {width: 32}}", {"model.base_width 1", "at least 2"}},
    {"model: {stem: {kernel: 4}}", {"model.stem.kernel 4 is even"}},
    {"model: {reset_classifier: true}", {"there is no model.pretrained to load"}},
    {"model: {pretrained_key: ema}", {"there is no model.pretrained to choose from"}},
    {"data: {size: 320}", {"data.resize 256 is less than data.size 320", "at least 320"}},
    {"data: {evaluation_size: 320}",
     {"data.resize 256 is less than data.evaluation_size 320", "at least 320"}},
    {"data: {train: synthetic, validation: val.h5}",
     {":1:", "data.validation is a file, but data.train is synthetic", "make both synthetic"}},
    {"data: {train: train.h5, validation: synthetic}",
     {"data.train is a file, but data.validation is synthetic", "data.validation empty"}},
    {"data: {train: synthetic, labels: y}", {"data.labels names a dataset", "leave it out"}},
    {"data: {synthetic: {images: 0}}", {"data.synthetic.images: '0' is out of range", "from 1"}},
    {"data: {crops: 5}", {"data.crops is 5", "use 1", "10"}},
    {"batch: {per_rank: 0}", {"batch.per_rank and batch.global are both 0"}},
    {"batch: {per_rank: 8, global: 64}", {":1:30", "are both given", "keep one of them"}},
    {"optimizer: {momentum: 0}", {"optimizer.nesterov is true, but optimizer.momentum is 0"}},
    {"schedule: {milestones: [60, 30]}", {":1:24", "ascending", "[30, 60, 90]"}},
    {"schedule: {milestones: [30, 30]}", {"each once"}},
    {"schedule: {warmup_epochs: 5}\nrun: {epochs: 3}", {"longer than run.epochs (3)"}},
    {"schedule: {warmup_epochs: 2, cooldown_epochs: 2}\nrun: {epochs: 3}",
     {":1:47", "together", "longer than run.epochs (3)", "which count it"}},
    {"schedule: {kind: cosine, cooldown_epochs: 2}", {"schedule.min_lr above 0"}},
    {"schedule: {warmup_start: -0.5}", {":1:26", "-0.5 is not a share", "-1 to begin"}},
    {"optimizer: {kind: adam}", {"one of sgd, lars, lamb, adamw"}},
    {"optimizer: {kind: lars, momentum: 0}", {"optimizer.momentum is 0"}},
    {"optimizer: {beta2: 1}", {"from 0 to below 1"}},
    {"data: {augment: {erasing: -0.5}}", {":1:27", "-0.5 is not a probability", "-1 for the"}},
    {"data: {augment: {magnitude: 11}}", {"'11' is out of range", "from 0 to 10"}},
    {"data: {augment: {policy: randaugment}}", {"one of recipe, none, trivial, rand"}},
    {"data: {repeats: 0}", {"data.repeats: '0' is out of range"}},
    {"model: {stochastic_depth: 1}", {"model.stochastic_depth: '1'", "from 0 to below 1"}},
    {"model: {freeze: 4, family: cifar, depth: 29}", {":1:17", "more than the network's 3 stages"}},
    {"data: {early_sizes: [128]}", {"data.early_sizes are 1, data.early_size_epochs 0"}},
    {"data: {early_sizes: [128, 160], early_size_epochs: [9, 9]}", {"ascending", "each once"}},
    {"data: {early_sizes: [256], early_size_epochs: [9]}", {"numbers up to data.size (224)"}},
    {"data: {early_sizes: [128.5], early_size_epochs: [9]}", {"not whole numbers"}},
    {"data: {recipe: seed, interpolation: bilinear}", {"seed has its own", "data.interpolation"}},
    {"data: {recipe: seed, augment: {policy: rand}}", {"without data.augment.policy"}},
    {"data: {recipe: seed, augment: {erasing: 0.1}}", {"without data.augment.erasing"}},
    {"run: {early_stop: -1}", {"run.early_stop: '-1' is out of range"}},
};

TEST(BadInput, EachMistakeInAFileIsExplained) {
  for (const BadFile& bad : kBadFiles) {
    SCOPED_TRACE(bad.yaml);
    const TemporaryFile file(bad.yaml);
    const std::string message = complaint(file.path(), {});
    EXPECT_TRUE(message.starts_with(file.path())) << message;
    expect_fragments(message, bad.fragments);
  }
}

struct BadOverrides {
  std::vector<std::string> overrides;
  std::vector<std::string> fragments;
};

const BadOverrides kBadOverrides[] = {
    {{"run.epochs"}, {"override 'run.epochs': has no '='", "optimizer.base_lr=0.2"}},
    {{""}, {"override '': has no '='"}},
    {{"=3"}, {"has no key before '='"}},
    {{"run.epochs="}, {"'run.epochs' has no value"}},
    {{"run.epochs=~"}, {"'run.epochs' has no value"}},
    {{"run.epochs= # three"}, {"'run.epochs' has no value"}},
    {{"run.epochs=three"}, {"override 'run.epochs=three': run.epochs: 'three' is not a whole"}},
    {{"run.epochs =3"}, {"unknown key 'run.epochs '", "did you mean 'run.epochs'?"}},
    {{"epochs=3"}, {"'epochs' belongs to the section 'run'"}},
    {{"optimizer.lr=3"}, {"did you mean 'optimizer.base_lr'?"}},
    {{"optimizr.base_lr=3"}, {"optimizer.base_lr"}},
    {{"model=3"}, {"'model' is a section, but '3' was given"}},
    {{"model={depth: 50}"}, {"'model' is a section", "one at a time: family, depth"}},
    {{"run.epochs={a: 1}"}, {"'run.epochs' is a map"}},
    {{"run.epochs=[3]"}, {"run.epochs is a list"}},
    {{"schedule.milestones=30"}, {"is not a list"}},
    {{"schedule.milestones=[30, 60"}, {"YAML syntax error"}},
    {{"run.name=a: b"}, {"'run.name' is a map"}},
    {{"run.epochs=1\n---\n2"}, {"more than one YAML document"}},
    {{std::string("run.name=a\0b", 12)}, {"control character 0"}},
    {{"batch.per_rank=8", "batch.global=64"}, {"override 'batch.global=64'", "both given"}},
    {{"model.depth=51"}, {"override 'model.depth=51': model.depth 51 does not exist"}},
    {{"data.size=300"}, {"less than data.size 300"}},
};

TEST(BadInput, EachMistakeInAnOverrideIsExplained) {
  const TemporaryFile file("run: {epochs: 90}");
  for (const BadOverrides& bad : kBadOverrides) {
    SCOPED_TRACE(bad.overrides.front());
    expect_fragments(complaint(file.path(), bad.overrides), bad.fragments);
  }
}

TEST(BadInput, FilesThatCannotBeReadAreNamed) {
  expect_fragments(complaint("/no/such/file.yaml", {}),
                   {"/no/such/file.yaml: cannot be opened: No such file", "configuration file"});
  expect_fragments(complaint("", {}), {"cannot be opened"});
  expect_fragments(complaint("/tmp", {}), {"/tmp: is a folder"});
}

TEST(BadInput, LongValuesAreCutInMessages) {
  const TemporaryFile file("run: {epochs: " + std::string(100'000, 'x') + "}");
  const std::string message = complaint(file.path(), {});
  expect_fragments(message, {"xxx...", "is not a whole number"});
  EXPECT_LT(message.size(), 400u);
}

}  // namespace
}  // namespace resnext
