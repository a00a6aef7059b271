// Training checkpoints of other programs (make_checkpoints.py): which of their tensors are taken,
// under which names; that nothing in them is run; how much memory a hostile file takes.
// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include <chrono>

#include "model/weights/weights_names.h"
#include "tests/model/weights/weights_files.h"

namespace resnext::test {
namespace {

const fs::path kCheckpoints = kGolden / "checkpoints";

void expect_has(const std::string& text, std::initializer_list<const char*> fragments) {
  for (const char* fragment : fragments) {
    EXPECT_NE(text.find(fragment), std::string::npos) << text << "\nlacks " << fragment;
  }
}

// ---- which dict, which names ------------------------------------------------------------------

// Those that hold one set of weights.
constexpr const char* kSingle[] = {"torchvision.pth",
                                   "timm.pth.tar",
                                   "examples_imagenet.pth.tar",
                                   "lightning.ckpt",
                                   "model_state_dict.pt",
                                   "net.pt",
                                   "network.pt",
                                   "weights.pt",
                                   "params.pt",
                                   "prefix__orig_mod-.pt",
                                   "prefix_module-_orig_mod-.pt",
                                   "prefix_module-module-.pt",
                                   "prefix_model-.pt",
                                   "prefix__orig_mod-module-model-.pt",
                                   "prefix_net-.pt",
                                   "prefix__fsdp_wrapped_module-.pt",
                                   "nested_twice.pt",
                                   "tuple.pt",
                                   "mean_beside.pt",
                                   "default_dict.pt",
                                   "trap.pt",
                                   "protocol2.pt",
                                   "protocol3.pt",
                                   "protocol4.pt",
                                   "protocol5.pt",
                                   "legacy2.pt",
                                   "legacy3.pt",
                                   "legacy4.pt",
                                   "legacy5.pt"};

void expect_reads_all(const fs::path& folder) {
  for (const char* name : kSingle) {
    EXPECT_TRUE(same(load_state_dict(folder / name), typical())) << name;
  }
}

class CheckpointTest : public WeightsTest {};

TEST_F(CheckpointTest, TheWeightsAreFoundAndNamedAsOurs) {
  expect_reads_all(kCheckpoints);
}

TEST_F(CheckpointTest, NothingInAFileIsRun) {
  load_state_dict(kCheckpoints / "trap.pt");
  const std::string message = refusal(kCheckpoints / "module.pt");
  expect_has(message, {"torch.nn.modules.container.Sequential", "which is not run", "state_dict"});
}

TEST_F(CheckpointTest, OfSeveralSetsOneMustBeChosen) {
  const std::string vision = kCheckpoints / "torchvision_ema.pth";
  expect_has(refusal(vision),
             {"'model' (6 tensors)", "'model_ema' (6 tensors)", "model.pretrained_key=NAME"});
  EXPECT_TRUE(same(load_state_dict(vision, "model_ema"), typical()));
  EXPECT_EQ(load_state_dict(vision, "model")[0].second.scalar_type(), ScalarType::Double);
  expect_has(refusal(vision, "ema"), {"no dict of tensors 'ema'", "'model_ema'"});
  const std::string timm = kCheckpoints / "timm_ema.pth.tar";
  expect_has(refusal(timm), {"'state_dict'", "'state_dict_ema'"});
  EXPECT_TRUE(same(load_state_dict(timm, "state_dict_ema"), typical()));
  const std::string nested = kCheckpoints / "nested_twice.pt";
  EXPECT_TRUE(same(load_state_dict(nested, "checkpoint"), typical()));
  EXPECT_TRUE(same(load_state_dict(nested, "checkpoint.model"), typical()));
}

TEST_F(CheckpointTest, AMeanBesideTheWeightsCanBeAskedForOnlyByItself) {
  refusal(kCheckpoints / "mean_beside.pt", "mean");
}

class CheckpointLiveTest : public WeightsLiveTest {};

TEST_F(CheckpointLiveTest, WhatThisPyTorchWritesIsRead) {
  python("make_checkpoints.py", "'" + path("live") + "'");
  expect_reads_all(path("live"));
  EXPECT_FALSE(fs::exists(path("live/sprung")));
}

// ---- names ------------------------------------------------------------------------------------

std::vector<std::string> renamed(const std::vector<std::string>& names) {
  StateDict state;
  for (const std::string& name : names) state.emplace_back(name, ramp({1}));
  std::vector<std::string> ours;
  for (const auto& [name, tensor] : with_our_names(state, "f")) ours.push_back(name);
  return ours;
}

using Names = std::vector<std::string>;

TEST(WeightsNames, WhatAllBeginWithGoes) {
  EXPECT_EQ(renamed({"encoder.conv1.weight", "encoder.fc.bias"}),
            Names({"conv1.weight", "fc.bias"}));
  EXPECT_EQ(renamed({"a.b.conv1.weight", "a.b.fc.bias"}), Names({"conv1.weight", "fc.bias"}));
  EXPECT_EQ(renamed({"module.w"}), Names({"w"}));
  EXPECT_EQ(renamed({"layer1._orig_mod.0.conv1.weight", "fc.bias"}),
            Names({"layer1.0.conv1.weight", "fc.bias"}));
}

TEST(WeightsNames, ALayerAndItsTensorStay) {
  EXPECT_EQ(renamed({"fc.weight", "fc.bias"}), Names({"fc.weight", "fc.bias"}));
  EXPECT_EQ(renamed({"conv1.weight"}), Names({"conv1.weight"}));
  EXPECT_EQ(renamed({"module.conv1.weight", "fc.bias"}), Names({"module.conv1.weight", "fc.bias"}));
  EXPECT_EQ(renamed({"my_orig_mod.weight", "fc.bias"}), Names({"my_orig_mod.weight", "fc.bias"}));
}

TEST(WeightsNames, OfResnextPytorchsCifarNetworksAreOurs) {
  const Names theirs = {"conv_1_3x3.weight",
                        "bn_1.running_mean",
                        "stage_1.stage_1_bottleneck_0.conv_reduce.weight",
                        "stage_1.stage_1_bottleneck_0.bn_reduce.bias",
                        "stage_1.stage_1_bottleneck_0.conv_conv.weight",
                        "stage_1.stage_1_bottleneck_0.bn.weight",
                        "stage_1.stage_1_bottleneck_0.conv_expand.weight",
                        "stage_1.stage_1_bottleneck_0.bn_expand.running_var",
                        "stage_1.stage_1_bottleneck_0.shortcut.shortcut_conv.weight",
                        "stage_1.stage_1_bottleneck_0.shortcut.shortcut_bn.num_batches_tracked",
                        "stage_3.stage_3_bottleneck_11.conv_reduce.weight",
                        "classifier.bias"};
  const Names ours = {"conv1.weight",
                      "bn1.running_mean",
                      "layer1.0.conv1.weight",
                      "layer1.0.bn1.bias",
                      "layer1.0.conv2.weight",
                      "layer1.0.bn2.weight",
                      "layer1.0.conv3.weight",
                      "layer1.0.bn3.running_var",
                      "layer1.0.downsample.0.weight",
                      "layer1.0.downsample.1.num_batches_tracked",
                      "layer3.11.conv1.weight",
                      "fc.bias"};
  EXPECT_EQ(renamed(theirs), ours);
}

TEST(WeightsNames, OfTimmsSenetAreOurs) {
  EXPECT_EQ(renamed({"layer0.conv1.weight", "layer0.bn1.bias", "layer1.0.se_module.fc1.weight",
                     "last_linear.weight"}),
            Names({"conv1.weight", "bn1.bias", "layer1.0.se.fc1.weight", "fc.weight"}));
}

TEST(WeightsNames, TwoOfOneNameAreRefused) {
  EXPECT_THROW(renamed({"conv1.weight", "_orig_mod.conv1.weight"}), CheckpointError);
}

// ---- hostile files ----------------------------------------------------------------------------

int64_t peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6));
  }
  return 0;
}

// Peak memory from here on.
void forget_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

int64_t resident_kib() {
  forget_peak();
  return peak_kib();
}

constexpr size_t kHostileBytes = 10'000'000;

// `piece` again and again, up to 10 MB.
std::string repeated(std::string head, std::string_view piece, std::string_view tail = ".") {
  head.reserve(kHostileBytes);
  while (head.size() + piece.size() + tail.size() <= kHostileBytes) head += piece;
  return head.append(tail);
}

const std::string kBegin = "\x80\x02";
// A tensor as object 0, over the storage "0".
const std::string kTensor =
    kBegin + "ctorch._utils\n_rebuild_tensor_v2\n((X\7" + std::string(3, '\0') +
    "storagectorch\nFloatStorage\nX\1" + std::string(3, '\0') + "0X\3" + std::string(3, '\0') +
    "cpuK\1tQK" + std::string(1, '\0') + "K\1\x85K\1\x85\x89NtRq" + std::string(1, '\0') + "0";

struct Hostile {
  const char* what;
  std::string pickle;
};

std::vector<Hostile> hostile_pickles() {
  const std::string zero(1, '\0');
  std::string many_names = kTensor + "}(";
  for (int i = 0; many_names.size() + 20 < kHostileBytes; ++i) {
    const std::string name = std::to_string(i);
    many_names += "U" + std::string(1, static_cast<char>(name.size())) + name + "h" + zero;
  }
  std::string many_memos = kBegin + "]";
  for (uint32_t i = 0; many_memos.size() + 6 < kHostileBytes; ++i) {
    many_memos += 'r' + std::string(reinterpret_cast<const char*>(&i), sizeof i);
  }
  // 64 sizes as object 1, then tensors of them.
  std::string wide = kBegin + "(";
  for (int i = 0; i < 64; ++i) wide += "K\1";
  wide += "tq\1" + std::string("ctorch._utils\n_rebuild_tensor_v2\nq\2") + "((X\7" +
          std::string(3, '\0') + "storagectorch\nFloatStorage\nX\1" + std::string(3, '\0') +
          "0X\3" + std::string(3, '\0') + "cpuK\1tQK" + zero + "h\1h\1\x89NtU\1aq\3" + "0q\4";
  // A long list of pairs as object 1, then OrderedDicts of it.
  std::string dicts = kBegin + "](" + "](K\1K\1eq" + zero;
  for (int i = 0; i < 100'000; ++i) dicts += "h" + zero;
  dicts += "e\x85q\1ccollections\nOrderedDict\nq\2";
  return {{"dicts", repeated(kBegin, "}")},
          {"lists in lists", repeated(kBegin, "]")},
          {"small dicts with an item", repeated(kBegin, "}U\1aK\1s")},
          {"marks", repeated(kBegin, "(")},
          {"numbers", repeated(kBegin + "(", "K\1", "l.")},
          {"one object again and again", repeated(kBegin + "]q" + zero, "h" + zero)},
          {"copies", repeated(kBegin + "]", "2")},
          {"memo by count", repeated(kBegin + "]", "\x94")},
          {"memo by number", many_memos + "."},
          {"tuples in tuples", repeated(kBegin + ")", "\x85")},
          {"sets", repeated(kBegin, "\x8f")},
          {"objects", repeated(kBegin, "cA\nB\n)R")},
          {"objects of objects", repeated(kBegin + "cA\nB\n", ")R")},
          {"frames", repeated(kBegin + "N", std::string("\x95") + std::string(8, '\0'))},
          {"one tensor under many names", many_names + "u."},
          {"tensors of many dimensions", repeated(wide, "h\2h\4R")},
          {"long OrderedDicts", repeated(dicts, "h\2h\1R")}};
}

// 10 MB in each case; within seconds, and without more than 100 MB beyond what was there.
TEST_F(CheckpointTest, AHostileFileTakesLittleMemoryAndTime) {
  const std::string storage(4, '\0');
  for (const Hostile& hostile : hostile_pickles()) {
    const std::string file = write_pickle(hostile.pickle, storage);
    const int64_t before = resident_kib();
    const auto start = std::chrono::steady_clock::now();
    refusal(file);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(peak_kib() - before, 100'000) << hostile.what;
    EXPECT_LT(took.count(), 20.0) << hostile.what;
  }
}

TEST_F(CheckpointTest, AFifoIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path("fifo.pt").c_str(), 0600), 0);
  expect_has(refusal(path("fifo.pt")), {"not a regular file"});
}

TEST_F(CheckpointTest, NamesInMessagesAreShortAndPrintable) {
  EXPECT_EQ(readable("a\nb\x1b[31m"), "a?b?[31m");
  EXPECT_EQ(readable(std::string(1000, 'x')).size(), 83u);
}

}  // namespace
}  // namespace resnext::test
