// safetensors against a reader and writer in Python by the published format (safetensors.py), and
// files that break it.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/safetensors.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "model/weights/weights_export.h"
#include "tests/model/weights/weights_files.h"

namespace resnext::test {
namespace {

using nlohmann::json;

class SafetensorsTest : public WeightsTest {
 protected:
  // A file of `header` and `data` bytes of zeros.
  std::string write(const std::string& header, size_t data) const {
    const uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    return write_bytes("a.safetensors", bytes + header + std::string(data, '\0'));
  }
};

TEST_F(SafetensorsTest, ReadsWhatAnotherProgramWrites) {
  const StateDict state = load_state_dict(kGolden / "written.safetensors");
  const StateDict wanted = {{"conv1.weight", ramp({4, 3, 2, 2})},
                            {"empty.weight", ramp({0, 3}, ScalarType::Half)},
                            {"bn1.num_batches_tracked", scalar(0)},
                            {"half.weight", ramp({3}, ScalarType::Half)},
                            {"byte.weight", ramp({5}, ScalarType::Byte)},
                            {"flag.weight", ramp({2}, ScalarType::Bool)},
                            {"double.weight", ramp({2}, ScalarType::Double)},
                            {"fc.weight", ramp({2, 3})}};
  EXPECT_TRUE(same(state, wanted));
  EXPECT_EQ(load_state_dict(kGolden / "written.safetensors", "model").size(), 8u);
  refusal(kGolden / "written.safetensors", "ema");
}

TEST_F(SafetensorsTest, KeyChoosesAPrefix) {
  export_weights({{"model.fc.weight", ramp({2})}, {"ema.fc.weight", ramp({3})}},
                 path("a.safetensors"));
  const StateDict state = load_state_dict(path("a.safetensors"), "ema");
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(state[0].second.numel(), 3);
}

constexpr const char* kGood = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

// What is between the marks is broken, all else is as it should be.
const std::pair<const char*, size_t> kBroken[] = {
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})", 9},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2,0],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":[]}})", 8},
    {R"({"a":{"dtype":["F32"],"shape":[2],"data_offsets":[0,8]}})", 8},
    {R"({"a":[]})", 8},
    {R"({"a":null})", 8},
    {R"({"a":{"dtype":{"x":"F32"},"shape":[2],"data_offsets":[0,8]}})", 8},
    {R"({"__metadata__":{"x":{}},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8},
    {R"({"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
     16},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
     12},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}})",
     20},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4,2],"data_offsets":[0,8]}})", 8},
    {R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})", 0},
    {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 8},
    {"{}", 0},
    {"{", 0}};

TEST_F(SafetensorsTest, RefusesWhatBreaksTheFormat) {
  EXPECT_EQ(load_state_dict(write(kGood, 8)).size(), 1u);
  EXPECT_EQ(load_state_dict(write(std::string(kGood) + "  ", 8)).size(), 1u);
  for (const auto& [header, data] : kBroken) {
    SCOPED_TRACE(header);
    refusal(write(header, data));
  }
}

TEST_F(SafetensorsTest, RefusesHeadersLongerThanTheFileOrTheLimit) {
  for (const uint64_t length : {uint64_t{1000}, uint64_t{100'000'001}, ~uint64_t{0}}) {
    refusal(write_bytes("a.safetensors",
                        std::string(reinterpret_cast<const char*>(&length), 8).append(kGood)));
  }
}

TEST_F(SafetensorsTest, TruncatedAndFlippedFilesNeverCrash) {
  const std::string bytes = read_bytes(kGolden / "written.safetensors");
  for (size_t i = 0; i < bytes.size(); ++i) {
    refusal(write_bytes("cut.safetensors", std::string_view(bytes).substr(0, i)));
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ (i % 2 == 0 ? 0x01 : 0xFF));
    try {
      load_state_dict(write_bytes("flipped.safetensors", flipped));
    } catch (const CheckpointError&) {
    }
  }
}

TEST_F(SafetensorsTest, DeepNestingIsRefusedAtOnce) {
  refusal(write("{\"a\":" + std::string(5'000'000, '['), 0));
  refusal(write("{\"a\":{\"shape\":" + std::string(5'000'000, '{'), 0));
}

class SafetensorsLiveTest : public WeightsLiveTest {};

TEST_F(SafetensorsLiveTest, AnotherProgramReadsOurs) {
  StateDict state = all_dtypes();
  std::erase_if(state, [](const auto& e) { return e.first == "bfloat16"; });  // not in Python
  state.emplace_back("channels.last",
                     ramp({2, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast));
  state.emplace_back("counter", scalar(7));
  export_weights(state, path("ours.safetensors"));
  const json found =
      json::parse(python("safetensors.py", "describe '" + path("ours.safetensors") + "'"));
  ASSERT_EQ(found.size(), state.size());
  for (const auto& [name, tensor] : state) {
    const at::Tensor values = tensor.to(ScalarType::Double).contiguous();
    const double* data = values.const_data_ptr<double>();
    EXPECT_EQ(found.at(name).at("shape"), json(tensor.sizes().vec())) << name;
    for (int64_t i = 0; i < values.numel(); ++i) {
      const json& value = found.at(name).at("values").at(static_cast<size_t>(i));
      EXPECT_EQ(value.is_boolean() ? value.get<bool>() : value.get<double>(), data[i]) << name;
    }
  }
}

// ---- export -----------------------------------------------------------------------------------

TEST_F(SafetensorsTest, ExportKnowsItsEndings) {
  for (const char* name : {"a.pt", "a.pth", "a.safetensors"}) {
    export_weights({{"fc.weight", ramp({2})}}, path(name));
    EXPECT_EQ(load_state_dict(path(name)).size(), 1u) << name;
    EXPECT_FALSE(fs::exists(path(name) + std::string(".tmp")));
  }
  for (const char* name : {"a", "a.bin", "a.PT", "a.pt/"}) {
    EXPECT_FALSE(is_weights_name(name)) << name;
  }
  EXPECT_EQ(weights_endings(), ".pt, .pth, .safetensors");
  EXPECT_THROW(export_weights({{"fc.weight", ramp({2})}}, path("no/folder/a.pt")), OutputError);
}

TEST_F(SafetensorsTest, FormBIsExportedAsFormC) {
  export_weights({{"layer1.0.paths.0.conv1.weight", ramp({2, 3})},
                  {"layer1.0.paths.1.conv1.weight", ramp({2, 3})}},
                 path("a.safetensors"));
  const StateDict state = load_state_dict(path("a.safetensors"));
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(state[0].first, "layer1.0.conv1.weight");
  EXPECT_EQ(state[0].second.size(0), 4);
}

}  // namespace
}  // namespace resnext::test
