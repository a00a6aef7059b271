// Weights files against PyTorch: files it wrote (tests/model/weights/golden, make_state_dicts.py),
// damaged and hostile files, and ours read back by torch.load(weights_only=True) where Python has
// torch. SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <caffe2/serialize/inline_container.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using at::ScalarType;
using nlohmann::json;

const fs::path kGolden = fs::path(RESNEXT_SOURCE_DIR) / "tests/model/weights/golden";

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

std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The rule of make_state_dicts.py.
at::Tensor ramp(at::IntArrayRef shape, ScalarType dtype = ScalarType::Float) {
  const int64_t count = c10::multiply_integers(shape);
  at::Tensor steps = at::arange(count, at::TensorOptions().dtype(ScalarType::Double));
  if (dtype == ScalarType::Bool) return steps.remainder(3).eq(0).reshape(shape);
  if (at::isFloatingType(dtype)) steps = steps.div(8).sub(1);
  return steps.to(dtype).reshape(shape);
}

at::Tensor scalar(int64_t value) {
  return at::empty({}, at::kLong).fill_(value);
}

StateDict typical() {
  const at::Tensor shared = ramp({6, 5});
  return {{"conv1.weight", ramp({4, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast)},
          {"bn1.weight", ramp({4})},
          {"bn1.num_batches_tracked", scalar(7)},
          {"fc.weight", shared},
          {"fc.transposed", shared.t()},
          {"fc.row", shared.select(0, 2)},
          {"empty", at::empty({0, 3})}};
}

StateDict all_dtypes() {
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

bool same(const StateDict& a, const StateDict& b) {
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
std::string refusal(const std::string& file) {
  try {
    load_state_dict(file);
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << file << " was accepted";
  return {};
}

// Either refused with CheckpointError, or read with unchanged values (padding, dates).
void expect_refused_or_same(const std::string& file, const StateDict& wanted,
                            const std::string& damage) {
  try {
    EXPECT_TRUE(same(load_state_dict(file), wanted)) << damage;
  } catch (const CheckpointError&) {
  }
}

// ---- files of PyTorch -----------------------------------------------------------------------

TEST_F(WeightsTest, ReadsZipFile) {
  EXPECT_TRUE(same(load_state_dict(kGolden / "typical.pt"), typical()));
}

TEST_F(WeightsTest, ReadsFileOfTheOlderFormat) {
  EXPECT_TRUE(same(load_state_dict(kGolden / "legacy.pth"), typical()));
}

TEST_F(WeightsTest, ReadsFileWithoutChecksums) {
  EXPECT_TRUE(same(load_state_dict(kGolden / "no_crc.pt"), typical()));
}

TEST_F(WeightsTest, ReadsAllDtypes) {
  EXPECT_TRUE(same(load_state_dict(kGolden / "dtypes.pt"), all_dtypes()));
}

TEST_F(WeightsTest, UnwrapsTrainingCheckpointAndRemovesParallelPrefix) {
  EXPECT_TRUE(same(load_state_dict(kGolden / "nested.pth"), typical()));
}

TEST_F(WeightsTest, TensorsOfOneStorageShareIt) {
  const StateDict state = load_state_dict(kGolden / "typical.pt");
  EXPECT_EQ(state[3].second.data_ptr(), state[4].second.data_ptr());
}

TEST_F(WeightsTest, RefusesForeignObjectByName) {
  const std::string message = refusal(kGolden / "foreign.pt");
  EXPECT_NE(message.find("argparse.Namespace"), std::string::npos) << message;
}

TEST_F(WeightsTest, RefusesOtherPickleProtocol) {
  EXPECT_NE(refusal(kGolden / "protocol4.pt").find("protocol"), std::string::npos);
}

// ---- what is no weights file ----------------------------------------------------------------

TEST_F(WeightsTest, RefusesMissingFileFolderAndOtherFiles) {
  refusal(path("missing.pt"));
  refusal(folder_.string());
  refusal(write_bytes("empty.pt", ""));
  refusal(write_bytes("text.pt", "these are no weights"));
  refusal(write_bytes("zip.pt", std::string("PK\x03\x04", 4) + std::string(100, 'x')));
}

TEST_F(WeightsTest, RefusesPickleWithoutTensors) {
  refusal(write_pickle(std::string("\x80\x02}.", 4)));
  refusal(write_pickle(std::string("\x80\x02K\x01.", 5)));
}

// Byte i with its lowest, its highest or all bits changed, in turn.
std::string flipped(std::string bytes, size_t i) {
  constexpr int kMasks[] = {0x01, 0x80, 0xFF};
  bytes[i] = static_cast<char>(bytes[i] ^ kMasks[i % 3]);
  return bytes;
}

// ---- damage ---------------------------------------------------------------------------------

TEST_F(WeightsTest, TruncationIsRefused) {
  const std::string bytes = read_bytes(kGolden / "typical.pt");
  for (size_t length = 0; length < bytes.size(); ++length) {
    refusal(write_bytes("damaged.pt", std::string_view(bytes).substr(0, length)));
  }
}

TEST_F(WeightsTest, FlippedBytesAreRefusedOrHarmless) {
  const std::string bytes = read_bytes(kGolden / "typical.pt");
  for (size_t i = 0; i < bytes.size(); ++i) {
    expect_refused_or_same(write_bytes("damaged.pt", flipped(bytes, i)), typical(),
                           "byte " + std::to_string(i));
  }
}

// Without checksums values may differ, but nothing else may happen.
class UncheckedFile : public WeightsTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(UncheckedFile, TruncationIsRefused) {
  const std::string bytes = read_bytes(kGolden / GetParam());
  for (size_t length = 0; length < bytes.size(); ++length) {
    refusal(write_bytes("damaged.pth", std::string_view(bytes).substr(0, length)));
  }
}

TEST_P(UncheckedFile, FlippedBytesNeverCrash) {
  const std::string bytes = read_bytes(kGolden / GetParam());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::string file = write_bytes("damaged.pth", flipped(bytes, i));
    try {
      load_state_dict(file);
    } catch (const CheckpointError&) {
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, UncheckedFile, ::testing::Values("legacy.pth", "no_crc.pt"));

// ---- hostile pickles ------------------------------------------------------------------------

// One float tensor "w" over storage "0" of `numel` elements, with the given BININT operands.
std::string tensor_pickle(int32_t numel, int32_t offset, int32_t size, int32_t stride) {
  const auto integer = [](int32_t value) {
    return std::string("J").append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto text = [](const std::string& value) {
    return std::string{'X', static_cast<char>(value.size()), 0, 0, 0}.append(value);
  };
  return "\x80\x02}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
         "ctorch\nFloatStorage\n" + text("0") + text("cpu") + integer(numel) + "tQ" +
         integer(offset) + integer(size) + "\x85" + integer(stride) + "\x85\x89NtRs.";
}

TEST_F(WeightsTest, RefusesTensorOutsideItsStorage) {
  const std::string storage(16, '\0');
  EXPECT_EQ(load_state_dict(write_pickle(tensor_pickle(4, 0, 4, 1), storage)).size(), 1u);
  refusal(write_pickle(tensor_pickle(4, 1, 4, 1), storage));
  refusal(write_pickle(tensor_pickle(4, 0, 5, 1), storage));
  refusal(write_pickle(tensor_pickle(4, 0, 3, 2), storage));
  refusal(write_pickle(tensor_pickle(4, -1, 4, 1), storage));
  refusal(write_pickle(tensor_pickle(4, 3, 4, -1), storage));
  refusal(write_pickle(tensor_pickle(4, 0, -4, 1), storage));
  refusal(write_pickle(tensor_pickle(4, 0, 0x7fffffff, 0), storage));
  refusal(write_pickle(tensor_pickle(5, 0, 4, 1), storage));
  refusal(write_pickle(tensor_pickle(0x7fffffff, 0, 4, 1), storage));
  refusal(write_pickle(tensor_pickle(-1, 0, 0, 1), storage));
}

TEST_F(WeightsTest, RefusesDeepAndCyclicPicklesWithoutRecursion) {
  std::string deep = "\x80\x02";
  deep.append(1'000'000, ']').append(999'999, 'a') += ".";
  refusal(write_pickle(deep));
  std::string tuples = "\x80\x02)";
  for (int i = 0; i < 1'000'000; ++i) tuples += '\x85';
  refusal(write_pickle(tuples + "."));
  // d = {}; d["model"] = d
  refusal(write_pickle(std::string("\x80\x02}q\0X\5\0\0\0modelh\0s.", 19)));
}

TEST_F(WeightsTest, RefusesHugeClaims) {
  refusal(
      write_pickle("\x80\x02X\xff\xff\xff\xff"
                   "a."));
  refusal(write_pickle(std::string("\x80\x02").append(3'000'000, '}').append(".")));
  refusal(write_pickle("\x80\x02h\x05."));
  refusal(write_pickle("\x80\x02t."));
  refusal(write_pickle("\x80\x02R."));
  refusal(write_pickle("\x80\x02(((."));
}

TEST_F(WeightsTest, RefusesCallsOfOtherPrograms) {
  const std::string message =
      refusal(write_pickle("\x80\x02"
                           "cos\nsystem\nX\2\0\0\0ls\x85R."));
  EXPECT_NE(message.find("os.system"), std::string::npos) << message;
}

// ---- writing --------------------------------------------------------------------------------

TEST_F(WeightsTest, RoundTripKeepsDtypeShapeStridesValues) {
  save_state_dict(typical(), path("a.pt"));
  EXPECT_TRUE(same(load_state_dict(path("a.pt")), typical()));
  save_state_dict(all_dtypes(), path("b.pt"));
  EXPECT_TRUE(same(load_state_dict(path("b.pt")), all_dtypes()));
  EXPECT_FALSE(fs::exists(path("a.pt.tmp")));
}

TEST_F(WeightsTest, ExpandedTensorIsWrittenInFull) {
  const at::Tensor expanded = ramp({1, 3}).expand({4, 3});
  save_state_dict({{"w", expanded}}, path("a.pt"));
  const at::Tensor read = load_state_dict(path("a.pt"))[0].second;
  EXPECT_TRUE(read.is_contiguous());
  EXPECT_TRUE(at::equal(read, expanded));
}

TEST_F(WeightsTest, WriteFailureNamesThePathAndKeepsTheOldFile) {
  EXPECT_THROW(save_state_dict(typical(), path("no/such/folder/a.pt")), OutputError);
  EXPECT_THROW(save_state_dict({{"w", at::Tensor()}}, path("undefined.pt")), OutputError);
  save_state_dict(typical(), path("a.pt"));
  rlimit old_limit{};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{2000, old_limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(save_state_dict(all_dtypes(), path("a.pt")), OutputError);
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(same(load_state_dict(path("a.pt")), typical()));
  EXPECT_FALSE(fs::exists(path("a.pt.tmp")));
}

// ---- PyTorch itself -------------------------------------------------------------------------

class WeightsLiveTest : public WeightsTest {
 protected:
  void SetUp() override {
    WeightsTest::SetUp();
    if (std::string_view(RESNEXT_TORCH_PYTHON).empty()) GTEST_SKIP() << "no Python with torch";
  }

  // Runs make_state_dicts.py; returns its output.
  std::string python(const std::string& arguments) const {
    const std::string command = "PYTHONPATH='" RESNEXT_LIBTORCH "' '" RESNEXT_TORCH_PYTHON
                                "' '" RESNEXT_SOURCE_DIR
                                "/tests/model/weights/make_state_dicts.py' " +
                                arguments;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> buffer;
    while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
      output.append(buffer.data(), got);
    }
    return output;
  }

  // What describe should say; `dtypes` gives the dtype of each tensor by PyTorch's name.
  static json expected(const StateDict& state, const std::map<ScalarType, std::string>& dtypes) {
    json all = json::object();
    for (const auto& [name, tensor] : state) {
      const at::Tensor values = tensor.to(ScalarType::Double).contiguous();
      const double* data = values.const_data_ptr<double>();
      all[name] = {{"dtype", dtypes.at(tensor.scalar_type())},
                   {"shape", tensor.sizes().vec()},
                   {"stride", tensor.strides().vec()},
                   {"values", std::vector<double>(data, data + values.numel())}};
    }
    return all;
  }
};

TEST_F(WeightsLiveTest, TorchLoadReadsOurFiles) {
  StateDict state = all_dtypes();
  std::map<ScalarType, std::string> dtypes;
  for (const auto& [name, tensor] : state) dtypes[tensor.scalar_type()] = name;
  for (const auto& entry : typical()) state.push_back(entry);
  save_state_dict(state, path("ours.pt"));
  EXPECT_EQ(json::parse(python("describe '" + path("ours.pt") + "'")), expected(state, dtypes));
}

TEST_F(WeightsLiveTest, WeReadWhatThisTorchWrites) {
  python("write '" + path("live") + "'");
  for (const char* name : {"typical.pt", "legacy.pth", "nested.pth", "no_crc.pt"}) {
    EXPECT_TRUE(same(load_state_dict(path("live") + "/" + name), typical())) << name;
  }
  EXPECT_TRUE(same(load_state_dict(path("live") + "/dtypes.pt"), all_dtypes()));
}

// In memory and in pieces as in a file: the same bytes, the same tensors.
TEST_F(WeightsTest, BytesInMemoryAreThoseOfTheFile) {
  const StateDict state = {{"a", at::arange(6).reshape({2, 3})},
                           {"b", at::arange(4).reshape({2, 2}).t()}};
  save_state_dict(state, path("a.pt"));
  std::ifstream stream(path("a.pt"), std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), {}};
  std::string bytes;
  write_state_dict(state, "a", [&](std::span<const std::byte> piece) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  EXPECT_EQ(parse_state_dict(bytes, "memory").size(), 2u);
  for (const StateDict& read : {load_state_dict(path("a.pt")), parse_state_dict(file, "memory"),
                                parse_state_dict(bytes, "memory")}) {
    ASSERT_EQ(read.size(), state.size());
    for (size_t i = 0; i < state.size(); ++i) {
      EXPECT_EQ(read[i].first, state[i].first);
      EXPECT_TRUE(at::equal(read[i].second, state[i].second));
      EXPECT_EQ(read[i].second.strides(), state[i].second.strides());
    }
  }
  EXPECT_THROW(parse_state_dict(bytes.substr(0, bytes.size() / 2), "memory"), CheckpointError);
  struct Full {};
  EXPECT_THROW(write_state_dict(state, "a", [](auto) { throw Full(); }), Full);
}

}  // namespace
}  // namespace resnext
