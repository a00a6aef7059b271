// What tests of weights files share: a folder, tensors by a rule, files of PyTorch, live PyTorch.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <caffe2/serialize/inline_container.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "comm/common/error.h"
#include "model/weights/state_dict.h"

namespace resnext::test {

namespace fs = std::filesystem;
using at::ScalarType;

inline const fs::path kGolden = fs::path(RESNEXT_SOURCE_DIR) / "tests/model/weights/golden";

// A folder that goes with the test.
class WeightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("resnext_weights_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string write_bytes(const std::string& name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

  // A zip container as torch.save makes it, around a pickle of the test's own.
  std::string write_pickle(const std::string& pickle, const std::string& storage = "") const {
    const std::string file = path("handmade.pt");
    caffe2::serialize::PyTorchStreamWriter archive(file);
    archive.writeRecord("data.pkl", pickle.data(), pickle.size());
    if (!storage.empty()) archive.writeRecord("data/0", storage.data(), storage.size());
    archive.writeEndOfFile();
    return file;
  }

  fs::path folder_;
};

inline std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The rule of make_state_dicts.py.
inline at::Tensor ramp(at::IntArrayRef shape, ScalarType dtype = ScalarType::Float) {
  const int64_t count = c10::multiply_integers(shape);
  at::Tensor steps = at::arange(count, at::TensorOptions().dtype(ScalarType::Double));
  if (dtype == ScalarType::Bool) return steps.remainder(3).eq(0).reshape(shape);
  if (at::isFloatingType(dtype)) steps = steps.div(8).sub(1);
  return steps.to(dtype).reshape(shape);
}

inline at::Tensor scalar(int64_t value) {
  return at::empty({}, at::kLong).fill_(value);
}

inline StateDict typical() {
  const at::Tensor shared = ramp({6, 5});
  return {{"conv1.weight", ramp({4, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast)},
          {"bn1.weight", ramp({4})},
          {"bn1.num_batches_tracked", scalar(7)},
          {"fc.weight", shared},
          {"fc.transposed", shared.t()},
          {"fc.row", shared.select(0, 2)},
          {"empty", at::empty({0, 3})}};
}

inline StateDict all_dtypes() {
  const std::pair<const char*, ScalarType> dtypes[] = {
      {"float32", ScalarType::Float}, {"float64", ScalarType::Double},
      {"float16", ScalarType::Half},  {"bfloat16", ScalarType::BFloat16},
      {"int64", ScalarType::Long},    {"int32", ScalarType::Int},
      {"int16", ScalarType::Short},   {"int8", ScalarType::Char},
      {"uint8", ScalarType::Byte},    {"bool", ScalarType::Bool}};
  StateDict state;
  for (const auto& [name, dtype] : dtypes) state.emplace_back(name, ramp({3, 2}, dtype));
  return state;
}

inline bool same(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const at::Tensor &x = a[i].second, &y = b[i].second;
    if (a[i].first != b[i].first || x.scalar_type() != y.scalar_type() ||
        x.strides() != y.strides() || !at::equal(x, y)) {
      return false;
    }
  }
  return true;
}

// Loads the file, which must be refused; returns the message.
inline std::string refusal(const std::string& file, const std::string& key = {}) {
  try {
    load_state_dict(file, key);
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << file << " was accepted";
  return {};
}

class WeightsLiveTest : public WeightsTest {
 protected:
  void SetUp() override {
    WeightsTest::SetUp();
    if (std::string_view(RESNEXT_TORCH_PYTHON).empty()) GTEST_SKIP() << "no Python with torch";
  }

  // Runs a script of this folder; returns its output.
  static std::string python(const std::string& script, const std::string& arguments) {
    const std::string command = "PYTHONPATH='" RESNEXT_LIBTORCH "' '" RESNEXT_TORCH_PYTHON
                                "' '" RESNEXT_SOURCE_DIR "/tests/model/weights/" +
                                script + "' " + arguments;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> buffer;
    while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
      output.append(buffer.data(), got);
    }
    return output;
  }
};

}  // namespace resnext::test
