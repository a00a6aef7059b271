// Our logits against PyTorch's, from golden files and (where Python can import torch) live.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/network/resnext.h"
#include "tests/support/golden.h"
#include "tests/support/rule_weights.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

const std::string kPython = RESNEXT_TORCH_PYTHON;
const std::string kScript = std::string(RESNEXT_SOURCE_DIR) + "/tests/model/make_golden.py";

at::Tensor as_tensor(std::vector<double> values) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kDouble).clone();
}

// Largest difference, relative to the largest logit.
double difference(const at::Tensor& ours, const std::vector<double>& theirs) {
  const at::Tensor reference = as_tensor(theirs);
  return ours.to(at::kDouble).flatten().sub(reference).abs().max().item<double>() /
         reference.abs().max().item<double>();
}

at::Tensor logits_of(ResNeXt& model, const GoldenLogits& golden) {
  at::NoGradGuard no_grad;
  const at::ScalarType type = golden.float64 ? at::kDouble : at::kFloat;
  model.to(at::kCPU, type, true);
  const at::Tensor images =
      rule_images(golden.images, golden.size).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  return model.forward(images, Mode::kEvaluate);
}

void fill(ResNeXt& model) {
  for (auto& [name, tensor] : model.state_dict()) fill_by_rule(tensor, name);
}

TEST(ParityLogits, EqualPyTorchsByTheSameRule) {
  const Golden golden =
      read_golden(std::string(RESNEXT_SOURCE_DIR) + "/tests/model/golden/parity.json");
  ASSERT_GE(golden.logits.size(), 4U);
  for (const GoldenLogits& entry : golden.logits) {
    ResNeXt model(entry.model, 1);
    model.to(at::kCPU, entry.float64 ? at::kDouble : at::kFloat, true);
    fill(model);
    const double d = difference(logits_of(model, entry), entry.logits);
    EXPECT_LT(d, entry.float64 ? 1e-10 : 1e-4);
    std::printf("ResNeXt-%ld %ldx%ldd %s: relative difference %.2e\n", entry.model.depth,
                entry.model.cardinality, entry.model.base_width,
                entry.float64 ? "float64" : "float32", d);
  }
}

class Live : public testing::Test {
 protected:
  void SetUp() override {
    if (kPython.empty()) GTEST_SKIP() << "this Python cannot import torch; golden files serve";
    folder_ = fs::temp_directory_path() / ("resnext_parity_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Runs make_golden.py; its output goes to a file, whose path is given back.
  fs::path run(const std::string& arguments) {
    const fs::path output = folder_ / "output.json";
    const std::string command = std::string("PYTHONPATH=") + RESNEXT_LIBTORCH + " " + kPython +
                                " -B " + kScript + " " + arguments + " > " + output.string();
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return output;
  }

  fs::path folder_;
};

TEST_F(Live, WeightsThatPyTorchSavedGiveItsLogits) {
  run("live " + folder_.string());
  for (const std::string name : {"plain", "gated"}) {
    const Golden live = read_golden((folder_ / (name + ".json")).string());
    ASSERT_FALSE(live.logits.empty());
    for (const GoldenLogits& entry : live.logits) {
      ResNeXt model(entry.model, 1);
      model.load(load_state_dict((folder_ / (name + ".pt")).string()), name);
      EXPECT_LT(difference(logits_of(model, entry), entry.logits), entry.float64 ? 1e-10 : 1e-4)
          << name;
    }
  }
}

TEST_F(Live, WeightsThatWeSavedGiveOurLogitsInPyTorch) {
  ModelOptions options;
  options.classes = 1000;
  ResNeXt model(options, 11);
  const fs::path file = folder_ / "ours.pt";
  model.to(at::kCPU, at::kFloat, true);
  save_state_dict(model.state_dict(), file.string());
  std::ifstream stream(run("check-ours " + file.string()));
  const auto theirs = nlohmann::json::parse(stream).at(file.string()).get<std::vector<double>>();
  GoldenLogits golden;
  golden.images = 2;
  golden.size = 224;
  EXPECT_LT(difference(logits_of(model, golden), theirs), 1e-4);
}

}  // namespace
}  // namespace resnext
