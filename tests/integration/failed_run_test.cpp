// Runs that fail on their way: diverging, a full disk, a damaged sample. Each ends with its exit
// code and one line, and what was saved before is whole.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>

#include "model/weights/state_dict.h"
#include "tests/integration/worker_run.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr int kData = 65;
constexpr int kOutput = 73;
constexpr int kDiverged = 77;

class FailedRun : public testing::TestWithParam<int> {  // ranks
 protected:
  // One line, of all ranks together, with these parts.
  static void expect_line(const Result& result, const Words& fragments) {
    const Words lines = error_lines(result.err);
    ASSERT_EQ(lines.size(), 1u) << result.err;
    for (const std::string& fragment : fragments) {
      EXPECT_NE(lines[0].find(fragment), std::string::npos) << lines[0] << "\nlacks " << fragment;
    }
  }

  const Workspace work_;
};

INSTANTIATE_TEST_SUITE_P(Ranks, FailedRun, testing::Values(0, 3));

void expect_finite(const fs::path& file) {
  for (const auto& [name, tensor] : load_state_dict(file.string())) {
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << file << ": " << name;
  }
}

// A rate of 12000: the weights overflow within a few steps.
TEST_P(FailedRun, DivergingSavesNothingThatIsNotFinite) {
  const Words wild = {"optimizer.base_lr=1000", "optimizer.base_batch=1",
                      "checkpoint.every_steps=1", "checkpoint.keep=99"};
  const Result result = work_.train(GetParam(), "run", wild);
  EXPECT_EQ(result.exit_code, kDiverged) << result.err;
  expect_line(result, {"step ", "not finite", "lower optimizer.base_lr"});
  const fs::path newest = newest_checkpoint(work_ / "run");
  ASSERT_FALSE(newest.empty());
  for (const auto& entry : fs::directory_iterator(newest.parent_path())) {
    if (!entry.path().filename().string().starts_with("step-")) continue;
    expect_finite(entry.path() / "model.pt");
    expect_finite(entry.path() / "optimizer.pt");
  }
}

// `script` with a small disk of its own mounted at `folder`, which nobody else sees.
Words on_small_disk(const std::string& folder, const std::string& script) {
  const std::string flags = ::geteuid() == 0 ? "-m" : "-rm";
  return {"unshare", flags, "sh", "-c",
          "mount -t tmpfs -o size=256k tmpfs " + folder + " || exit 99\n" + script};
}

std::string quoted(const Words& command) {
  std::string line;
  for (const std::string& word : command) line += "'" + word + "' ";
  return line;
}

// The disk holds one checkpoint but not two.
TEST_P(FailedRun, FullDiskLeavesThePreviousCheckpointWhole) {
  const Words often = {"checkpoint.every_steps=3"};
  const std::string disk = work_ / "disk";
  fs::create_directory(disk);
  if (run(on_small_disk(disk, "exit 0"), kRunTimeout).exit_code != 0) {
    GTEST_SKIP() << "no disk can be mounted here";
  }
  ASSERT_EQ(work_.train(GetParam(), "whole", often).exit_code, 0);
  const std::string train = quoted(work_.train_command(GetParam(), "disk/run", often));
  const std::string keep = "code=$?; cp -a " + disk + "/run " + work_ / "kept" + "; exit $code";
  const Result full = run(on_small_disk(disk, train + "\n" + keep), kRunTimeout);
  EXPECT_EQ(full.exit_code, kOutput) << full.err;
  expect_line(full, {"/disk/run/", "No space left on device", "free space"});
  for (const auto& entry : fs::directory_iterator(work_ / "kept/checkpoints")) {
    EXPECT_EQ(entry.path().filename().string().find("partial"), std::string::npos) << entry;
  }
  EXPECT_EQ(newest_checkpoint(work_ / "kept").filename(), "step-00000003");
  ASSERT_EQ(work_.train(GetParam(), "kept", often).exit_code, 0);
  EXPECT_TRUE(same_run(work_ / "whole", work_ / "kept"));
}

// One sample's bytes differ from its checksum: only the rank that draws it notices.
TEST_P(FailedRun, DamagedSampleIsNamed) {
  std::string bytes = read_text(work_ / "train.h5");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_text(work_ / "train.h5", bytes);
  const Result result = work_.train(GetParam(), "run");
  EXPECT_EQ(result.exit_code, kData) << result.err;
  expect_line(result, {"/train.h5", "sample ", "checksum", "; "});
  const Result verified = run({RESNEXT_BIN_DIR "/resnext_data", "verify", work_ / "train.h5"}, 30);
  EXPECT_EQ(verified.exit_code, kData) << verified.err;
}

}  // namespace
}  // namespace resnext::test
