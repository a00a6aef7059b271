// Exported networks, read back by us and, where Python can, run by other programs.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <map>

#include "model/export/network_export.h"
#include "model/network/resnext.h"
#include "model/weights/weights_export.h"
#include "tests/model/network/networks.h"
#include "tests/model/weights/weights_files.h"

namespace resnext::test {
namespace {

constexpr int64_t kSide = 32;

ModelOptions small(Block block, Shortcut shortcut, int64_t se_reduction = 0) {
  ModelOptions options = cifar(11, 2, 16);
  options.stem.width = 16;
  options.block = block;
  options.shortcut = shortcut;
  options.se_reduction = se_reduction;
  return options;
}

ModelOptions with_max_pool() {
  ModelOptions options = imagenet(50, 4, 16);
  options.stem.width = 16;
  options.classes = 10;
  return options;
}

const std::pair<const char*, ModelOptions> kNetworks[] = {
    {"form_c", small(Block::kC, Shortcut::kB)},
    {"form_b", small(Block::kB, Shortcut::kC)},
    {"resnet", small(Block::kResnet, Shortcut::kC)},
    {"padded", small(Block::kC, Shortcut::kA)},
    {"padded_form_b", small(Block::kB, Shortcut::kA)},
    {"gated", small(Block::kC, Shortcut::kB, 4)},
    {"gated_form_b", small(Block::kB, Shortcut::kA, 4)},
    {"max_pool", with_max_pool()}};

// Scales, biases and statistics that are not trivial.
ResNeXt network_of(const ModelOptions& options) {
  ResNeXt model(options, 1);
  const auto generator = at::detail::createCPUGenerator(2);
  for (auto& [name, tensor] : model.state_dict()) {
    if (tensor.dim() == 1) tensor.uniform_(0.5, 1.5, generator);
  }
  return model;
}

NetworkExport export_of(const ModelOptions& options, ResNeXt& model) {
  return {options, model.state_dict(), kSide, false, {{"mean", "[0.5]"}}};
}

class ExportTest : public WeightsTest {
 protected:
  // All networks as files, with images and what we answer.
  void write_all() {
    const at::NoGradGuard no_grad;
    const at::Tensor images = at::randn({3, 3, kSide, kSide}, at::detail::createCPUGenerator(3));
    for (const auto& [name, options] : kNetworks) {
      ResNeXt model = network_of(options);
      export_weights({{"images", images}, {"logits", model.forward(images, Mode::kEvaluate)}},
                     path(name + std::string(".safetensors")));
      NetworkExport network = export_of(options, model);
      export_network(network, path(name + std::string(".onnx")));
      network.fold_norm = true;
      export_network(network, path(name + std::string(".folded.onnx")));
      network.fold_norm = false;
      if (options.se_reduction == 0) export_network(network, path(name + std::string(".t7")));
    }
  }

  // What check_export.py says of them.
  int check() const {
    const std::string command =
        "PYTHONPATH='" RESNEXT_LIBTORCH "':\"$PYTHONPATH\" '" RESNEXT_TORCH_PYTHON
        "' -B '" RESNEXT_SOURCE_DIR "/tests/model/export/check_export.py' '" +
        folder_.string() + "'";
    return WEXITSTATUS(std::system(command.c_str()));
  }
};

// But for PyTorch's counters.
TEST_F(ExportTest, Torch7FilesAreReadBackBitForBit) {
  for (const auto& [name, options] : kNetworks) {
    if (options.se_reduction > 0) continue;
    ResNeXt model = network_of(options);
    export_network(export_of(options, model), path("a.t7"));
    const StateDict read = load_state_dict(path("a.t7"));
    const std::map<std::string, at::Tensor> found(read.begin(), read.end());
    size_t wanted = 0;
    for (const auto& [tensor_name, tensor] : model.state_dict()) {
      if (tensor_name.ends_with("num_batches_tracked")) continue;
      ++wanted;
      ASSERT_TRUE(found.contains(tensor_name)) << name << " " << tensor_name;
      EXPECT_TRUE(found.at(tensor_name).equal(tensor)) << name << " " << tensor_name;
    }
    EXPECT_EQ(found.size(), wanted) << name;
  }
}

TEST_F(ExportTest, OtherProgramsGiveOurLogits) {
  if (std::string_view(RESNEXT_TORCH_PYTHON).empty()) GTEST_SKIP() << "no Python with torch";
  write_all();
  const int code = check();
  if (code == 77) GTEST_SKIP() << "of Torch7's files only: no Python with onnx and onnxruntime";
  EXPECT_EQ(code, 0);
}

TEST_F(ExportTest, WhatAFormatDoesNotHaveIsRefused) {
  const auto refused = [&](const char* file, const ModelOptions& options, bool fold_norm,
                           const char* remedy) {
    try {
      check_export(path(file), options, fold_norm);
      ADD_FAILURE() << file;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(remedy), std::string::npos) << error.what();
    }
  };
  const ModelOptions plain = small(Block::kC, Shortcut::kB);
  refused("a.onn", plain, false, ".pt, .pth, .safetensors, .t7, .onnx");
  refused("a", plain, false, ".onnx");
  refused("a.t7", small(Block::kC, Shortcut::kB, 4), false, "write an .onnx");
  refused("a.t7", plain, true, "leave --fold-norm out");
  refused("a.pt", plain, true, "leave --fold-norm out");
  for (const char* file : {"a.pt", "a.pth", "a.safetensors", "a.t7", "a.onnx"}) {
    EXPECT_NO_THROW(check_export(path(file), plain, false));
  }
}

}  // namespace
}  // namespace resnext::test
