// Folders of the first released programs, whose manifests had no serials, go on as they are.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "data/container/checksum.h"
#include "tests/worker/state/support.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Version1 : public testing::Test {
 protected:
  // As that program wrote it: counted in steps of `batch`, its best in every manifest.
  void write(int64_t step, int64_t best_step, double best_top1, int64_t batch = 8) const {
    const fs::path folder = path(step);
    fs::create_directories(folder);
    Json manifest = {{"format_version", 1},
                     {"progress",
                      {{"step", step},
                       {"epoch", step / 10},
                       {"epoch_step", step % 10},
                       {"global_batch", batch},
                       {"best_top1", best_top1},
                       {"best_step", best_step},
                       {"meter_steps", 2},
                       {"meter_loss_sum", 0.5},
                       {"bucket_order", {0, 1}}}}};
    for (const char* file : {"model.pt", "optimizer.pt"}) {
      const std::string content = std::string(file) + " of step " + std::to_string(step);
      write_text(folder / file, content);
      const auto* bytes = reinterpret_cast<const uint8_t*>(content.data());
      manifest["files"][file] = {{"bytes", content.size()},
                                 {"crc32c", crc32c({bytes, content.size()})}};
    }
    write_text(folder / "manifest.json", manifest.dump(2) + "\n");
  }
  void point_best(int64_t step) const {
    fs::create_directory_symlink(path(step).filename(), checkpoints_ / "best");
  }
  fs::path path(int64_t step) const { return checkpoints_ / fmt::format("step-{:08}", step); }
  int64_t next() const {
    return RunStore(posix_files(), run_, 3).find("auto", false)->manifest.progress.step;
  }

  TemporaryFolder root_;
  fs::path run_ = root_.path() / "run";
  fs::path checkpoints_ = run_ / "checkpoints";
};

TEST_F(Version1, GoesOnFromTheNewest) {
  for (const int64_t step : {20, 30, 37}) write(step, 20, 80);
  point_best(20);
  Start start(run_, 2);
  EXPECT_EQ(start.step(), 37);
  EXPECT_EQ(start.from->manifest.progress.position, (Position{3, 56}));
  EXPECT_FALSE(start.from->manifest.data);
  EXPECT_EQ(start.from->files.at("model.pt"), "model.pt of step 37");
  EXPECT_EQ(start.best(), "step-00000020");
  EXPECT_EQ(start.store.best_top1(), 80);
  start.save(5);  // whatever its number
  start.save(6);
  EXPECT_EQ(next(), 6);
  EXPECT_TRUE(fs::exists(path(20)));
  EXPECT_FALSE(fs::exists(path(37)));
}

// A sum that was not finite made every later start pass the checkpoint over.
TEST_F(Version1, ALossSumOfNullIsNoDamage) {
  write(20, -1, -1);
  std::string text = read_text(path(20) / "manifest.json");
  text.replace(text.find("0.5"), 3, "null");
  write_text(path(20) / "manifest.json", text);
  EXPECT_EQ(next(), 20);
}

TEST_F(Version1, GoingBackHoldsFromItsFirstMomentOn) {
  for (const int64_t step : {20, 30, 40}) write(step, -1, -1);
  {
    Start start(run_, 9);
    start.save(50);
  }
  {
    const Start back(run_, 9, path(20));
    EXPECT_FALSE(fs::exists(path(30)));
    EXPECT_FALSE(fs::exists(path(50)));
  }
  fs::rename(checkpoints_ / "aside-000001-step-00000050", path(50));  // died before it was moved
  EXPECT_EQ(next(), 20);
}

TEST_F(Version1, DamagedOnesArePassedOver) {
  write(20, -1, -1);
  write(30, -1, -1);
  fs::resize_file(path(30) / "model.pt", 2);
  EXPECT_EQ(next(), 20);
}

}  // namespace
}  // namespace resnext::test
