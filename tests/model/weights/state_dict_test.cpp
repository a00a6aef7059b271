// Weights files against PyTorch: files it wrote (tests/model/weights/golden, make_state_dicts.py),
// damaged and hostile files, and ours read back by torch.load(weights_only=True) where Python has
// torch.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict.h"

#include <sys/resource.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/model/weights/weights_files.h"

namespace resnext::test {
namespace {

using nlohmann::json;

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

TEST_F(WeightsTest, PassesOverForeignObjects) {
  const StateDict state = load_state_dict(kGolden / "foreign.pt");
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(state[0].first, "weight");
}

TEST_F(WeightsTest, ReadsPickleProtocol4) {
  EXPECT_TRUE(same(load_state_dict(kGolden / "protocol4.pt"), typical()));
}

// ---- what is no weights file ----------------------------------------------------------------

TEST_F(WeightsTest, RefusesMissingFileFolderAndOtherFiles) {
  refusal(path("missing.pt"));
  refusal(folder_.string());
  refusal(write_bytes("empty.pt", ""));
  refusal(write_bytes("text.pt", "these are no weights"));
  refusal(write_bytes("zip.pt", std::string("PK\x03\x04", 4) + std::string(100, 'x')));
  const auto says = [](const std::string& text, const char* word) {
    EXPECT_NE(text.find(word), std::string::npos) << text;
  };
  says(refusal(folder_.string()), "is a folder");
  says(refusal("https://somewhere.org/model.pth"), "is an address");
  says(refusal(write_bytes("lfs.pt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
       "`git lfs pull`");
  says(refusal(write_bytes("model.safetensors.index.json",
                           R"({"metadata": {"total_size": 8}, "weight_map": {"fc.bias": "1"}})")),
       "the index of weights in several files");
  std::string program = read_bytes(kGolden / "typical.pt");  // its first record renamed
  for (size_t at = 0; (at = program.find("/data.pkl", at)) != std::string::npos; ++at) {
    program.replace(at, 9, "/code/pkl");
  }
  says(refusal(write_bytes("script.pt", program)), "is a TorchScript program");
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

TEST_F(WeightsTest, NamesTheCallThatWasNotMade) {
  const std::string pickle(
      "\x80\x02"
      "cos\nsystem\nX\2\0\0\0ls\x85R.",
      23);
  const std::string message = refusal(write_pickle(pickle));
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

// What describe should say; `dtypes` gives the dtype of each tensor by PyTorch's name.
json expected(const StateDict& state, const std::map<ScalarType, std::string>& dtypes) {
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

TEST_F(WeightsLiveTest, TorchLoadReadsOurFiles) {
  StateDict state = all_dtypes();
  std::map<ScalarType, std::string> dtypes;
  for (const auto& [name, tensor] : state) dtypes[tensor.scalar_type()] = name;
  for (const auto& entry : typical()) state.push_back(entry);
  save_state_dict(state, path("ours.pt"));
  EXPECT_EQ(json::parse(python("make_state_dicts.py", "describe '" + path("ours.pt") + "'")),
            expected(state, dtypes));
}

TEST_F(WeightsLiveTest, WeReadWhatThisTorchWrites) {
  python("make_state_dicts.py", "write '" + path("live") + "'");
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
}  // namespace resnext::test
