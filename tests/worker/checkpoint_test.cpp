// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/checkpoint.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root_); }

  static Checkpoint at_step(int64_t step, int64_t best_step = -1) {
    Checkpoint c;
    c.progress.step = step;
    c.progress.cursor = {step / 10, step % 10};
    c.progress.global_batch = 64;
    c.progress.best_step = best_step;
    c.progress.best_top1 = 12.5;
    c.progress.bucket_order = {2, 0, 1};
    c.progress.meter_steps = 3;
    c.progress.meter_loss_sum = 0.1 + 0.2;
    c.model = {{"w", at::full({2, 2}, static_cast<double>(step))}};
    c.optimizer = {{"w", at::full({2, 2}, -1.0)}};
    return c;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(root_))
      found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
  }

  void overwrite(const std::string& file, const std::string& content) const {
    std::ofstream(root_ / file, std::ios::trunc) << content;
  }

  fs::path root_ = fs::temp_directory_path() / ("checkpoint_test_" + std::to_string(::getpid()));
  CheckpointFolder folder_{root_};
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  EXPECT_FALSE(folder_.any());
  EXPECT_FALSE(folder_.load_latest().has_value());
  folder_.save(at_step(37), 3);
  EXPECT_TRUE(folder_.any());
  const Checkpoint c = folder_.load_latest().value();
  EXPECT_EQ(c.progress.step, 37);
  EXPECT_EQ(c.progress.cursor, (Cursor{3, 7}));
  EXPECT_EQ(c.progress.global_batch, 64);
  EXPECT_EQ(c.progress.best_top1, 12.5);
  EXPECT_EQ(c.progress.bucket_order, (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(c.progress.meter_loss_sum, 0.1 + 0.2);  // to the bit
  EXPECT_TRUE(c.model[0].second.equal(at_step(37).model[0].second));
  EXPECT_EQ(c.optimizer[0].first, "w");
}

TEST_F(CheckpointTest, KeepsTheNewestAndTheBest) {
  for (int64_t step = 1; step <= 6; ++step) folder_.save(at_step(step, step <= 2 ? step : 2), 2);
  EXPECT_EQ(names(),
            (std::vector<std::string>{"best", "step-00000002", "step-00000005", "step-00000006"}));
  EXPECT_EQ(fs::read_symlink(root_ / "best"), "step-00000002");
}

TEST_F(CheckpointTest, PassesOverDamagedOnes) {
  for (int64_t step : {1, 2, 3, 4, 5}) folder_.save(at_step(step), 9);
  overwrite("step-00000005/manifest.json", "{\"format_version\": 1, \"prog");
  overwrite("step-00000004/model.pt", "not a model");
  fs::remove(root_ / "step-00000003/optimizer.pt");
  fs::resize_file(root_ / "step-00000002/optimizer.pt", 100);
  EXPECT_EQ(folder_.load_latest().value().progress.step, 1);
  EXPECT_THROW(CheckpointFolder::load(root_ / "step-00000004"), CheckpointError);
  EXPECT_THROW(CheckpointFolder::load(root_ / "step-00000009"), CheckpointError);
}

TEST_F(CheckpointTest, EveryBitCounts) {
  folder_.save(at_step(1), 3);
  const fs::path file = root_ / "step-00000001/model.pt";
  const auto size = static_cast<int64_t>(fs::file_size(file));
  for (int64_t at = 0; at < size; at += 97) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get());
    stream.seekp(at).put(static_cast<char>(byte ^ 4)).flush();
    ASSERT_FALSE(folder_.load_latest().has_value()) << at;
    stream.seekp(at).put(byte).flush();
  }
  EXPECT_TRUE(folder_.load_latest().has_value());
}

TEST_F(CheckpointTest, ClearsWhatAKilledRunLeftHalfWritten) {
  fs::create_directories(root_ / "step-00000007.partial-1");
  folder_.save(at_step(8), 3);
  EXPECT_EQ(names(), (std::vector<std::string>{"step-00000008"}));
}

TEST_F(CheckpointTest, SaysWhenItCannotBeWritten) {
  std::ofstream(root_.string()) << "a file in the way";
  EXPECT_THROW(folder_.save(at_step(1), 3), OutputError);
}

}  // namespace
}  // namespace resnext
