// The seed's networks as Torch7 saves them, written by make_t7.py, with the tensors that they hold;
// damaged and hostile files.
// SPDX-License-Identifier: BSD-3-Clause
#include <cstdlib>
#include <map>

#include "model/weights/t7_network.h"
#include "tests/model/weights/weights_files.h"

namespace resnext::test {
namespace {

const fs::path kT7 = fs::temp_directory_path() / ("resnext_t7_" + std::to_string(::getpid()));

class T7Test : public WeightsTest {
 protected:
  static void SetUpTestSuite() {
    const std::string command = "'" RESNEXT_PYTHON3 "' -B '" RESNEXT_SOURCE_DIR
                                "/tests/model/weights/make_t7.py' '" +
                                kT7.string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  static void TearDownTestSuite() { fs::remove_all(kT7); }
};

void expect_equal(const StateDict& a, const StateDict& b) {
  const std::map<std::string, at::Tensor> x(a.begin(), a.end()), y(b.begin(), b.end());
  ASSERT_EQ(x.size(), y.size());
  for (const auto& [name, tensor] : y) {
    ASSERT_TRUE(x.contains(name)) << name;
    EXPECT_EQ(x.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(x.at(name).equal(tensor)) << name;
  }
}

TEST_F(T7Test, BothFormsAndAllKindsOfTensorsAreRead) {
  for (const char* name : {"form_c", "form_b", "cuda", "groups_first", "matrices"}) {
    SCOPED_TRACE(name);
    const std::string base = (kT7 / name).string();
    const StateDict wanted = load_state_dict(base + ".safetensors");
    EXPECT_GT(wanted.size(), 90u);
    expect_equal(load_state_dict(base + ".t7"), wanted);
  }
}

TEST_F(T7Test, TensorsOfOneStorageShareIt) {
  const StateDict state = load_state_dict(kT7 / "cuda.t7");
  EXPECT_EQ(state[0].second.storage().data(), state.back().second.storage().data());
}

TEST_F(T7Test, ATrainingStateIsRefusedWithTheNameOfWhatIsWanted) {
  const std::string message = refusal(kT7 / "latest.t7");
  EXPECT_NE(message.find("model_N.t7"), std::string::npos) << message;
}

// ---- damage -----------------------------------------------------------------------------------

TEST_F(T7Test, TruncationIsRefused) {
  const std::string bytes = read_bytes(kT7 / "form_b.t7");
  for (size_t length = 0; length < bytes.size(); length += 997) {
    refusal(write_bytes("cut.t7", std::string_view(bytes).substr(0, length)));
  }
}

TEST_F(T7Test, FlippedBytesNeverCrash) {
  const std::string bytes = read_bytes(kT7 / "form_c.t7");
  for (size_t i = 0; i < bytes.size(); i += 229) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ (i % 2 == 0 ? 0x01 : 0xFF));
    try {
      load_state_dict(write_bytes("flipped.t7", flipped));
    } catch (const CheckpointError&) {
    }
  }
}

// ---- hostile files ----------------------------------------------------------------------------

std::string ints(std::initializer_list<int32_t> values) {
  std::string bytes;
  for (const int32_t value : values) bytes.append(reinterpret_cast<const char*>(&value), 4);
  return bytes;
}

constexpr size_t kHostileBytes = 10'000'000;

TEST_F(T7Test, DeepNestingTakesNoStackAndLittleMemory) {
  std::string tables, objects;
  for (int32_t i = 1; tables.size() < kHostileBytes; ++i) tables += ints({3, i, 1});
  for (int32_t i = 1; objects.size() < kHostileBytes; ++i) {
    objects += ints({4, i, 3}) + "V 1" + ints({1}) + "A";
  }
  const auto peak_kib = [] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6));
    }
    return 0LL;
  };
  for (const std::string& bytes : {tables, objects}) {
    const std::string file = write_bytes("deep.t7", bytes);
    std::ofstream("/proc/self/clear_refs") << "5";
    const auto before = peak_kib();
    refusal(file);
    EXPECT_LT(peak_kib() - before, 100'000);
  }
}

TEST_F(T7Test, RefusesHugeClaimsAndCycles) {
  const std::string text = ints({2, 1}) + "a";
  refusal(write_bytes("a.t7", ints({3, 1, 0x7fffffff}) + text + text));
  refusal(write_bytes("a.t7", ints({3, 1, -1})));
  refusal(write_bytes("a.t7", ints({3, 1, 1, 2, 0x7fffffff})));
  refusal(write_bytes("a.t7", ints({3, 1, 1, 2, -1})));
  refusal(write_bytes("a.t7", ints({3, 1, 1, 99})));
  refusal(write_bytes("a.t7", ints({3, 1, 1, 3, 1, 3, 1})));  // itself in itself
  const std::string sequential = ints({4, 1, 3}) + "V 1" + ints({13}) + "nn.Sequential";
  refusal(write_bytes("a.t7", sequential + ints({4, 1})));  // its content is itself
  refusal(write_bytes("a.t7", sequential + ints({0})));
  const std::string modules =
      ints({3, 2, 1, 2, 7}) + "modules" + ints({3, 3, 1, 1}) + std::string(8, '\0') + ints({4, 1});
  refusal(write_bytes("a.t7", sequential + modules));  // its module is itself
  const std::string tensor = ints({4, 1, 3}) + "V 1" + ints({17}) + "torch.FloatTensor";
  refusal(write_bytes("a.t7", tensor + ints({0x7fffffff})));
  refusal(write_bytes("a.t7", tensor + ints({-1})));
}

}  // namespace
}  // namespace resnext::test
