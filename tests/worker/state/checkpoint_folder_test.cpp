// Folders of files: whole or not there, in the order of their serials, whatever their names say.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/checkpoint_folder.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "tests/worker/state/support.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

class CheckpointFolderTest : public testing::Test {
 protected:
  std::string write(int64_t step, int64_t serial) {
    return folder_.write(manifest_at(step, serial), files_of(step));
  }
  std::vector<int64_t> serials() const {
    std::vector<int64_t> found;
    for (const auto& entry : folder_.entries()) {
      found.push_back(entry.manifest ? entry.manifest->serial : -1);
    }
    return found;
  }

  TemporaryFolder root_;
  fs::path path_ = root_.path() / "checkpoints";
  CheckpointFolder folder_{unsynced_files(), path_};
};

TEST_F(CheckpointFolderTest, ComesBackAsItWas) {
  EXPECT_TRUE(folder_.entries().empty());
  EXPECT_EQ(write(37, 4), "step-00000037");
  const SavedState state = folder_.read(path_ / "step-00000037");
  EXPECT_EQ(state.folder, path_ / "step-00000037");
  EXPECT_EQ(state.manifest.run, "r");
  EXPECT_EQ(state.manifest.serial, 4);
  EXPECT_EQ(state.manifest.parent, 3);
  EXPECT_TRUE(state.manifest.lineage.holds(0, 4));
  EXPECT_FALSE(state.manifest.lineage.holds(0, 5));
  EXPECT_EQ(state.manifest.progress.step, 37);
  EXPECT_EQ(state.manifest.data->class_names, small_data().class_names);
  EXPECT_EQ(state.files.at("model.pt"), "weights of step 37");
  EXPECT_EQ(state.files.at("optimizer.pt"), "momentum of step 37");
  EXPECT_FALSE(state.validation);
}

TEST_F(CheckpointFolderTest, OrdersBySerialNotByStep) {
  write(310, 1);
  write(37, 2);
  write(40, 3);
  write(120, 4);
  EXPECT_EQ(serials(), (std::vector<int64_t>{4, 3, 2, 1}));
  EXPECT_EQ(folder_.last_serial(), 4);
}

TEST_F(CheckpointFolderTest, PutsWhatCannotBeReadLast) {
  write(1, 1);
  write(2, 2);
  write_text(path_ / "step-00000002/manifest.json", "{\"format_version\": 2, \"prog");
  EXPECT_EQ(serials(), (std::vector<int64_t>{1, -1}));
}

TEST_F(CheckpointFolderTest, KeepsTheValidationOfAPlace) {
  const std::string name = write(5, 1);
  folder_.write_validation(name, {0.25, 81.5, 99.25, 400});
  const auto accuracy = folder_.read(path_ / name).validation.value();
  EXPECT_EQ(accuracy.loss, 0.25);
  EXPECT_EQ(accuracy.top1, 81.5);
  EXPECT_EQ(accuracy.top5, 99.25);
  EXPECT_EQ(accuracy.images, 400);
  folder_.write_validation(name, {NAN, 25, 50, 400});
  EXPECT_TRUE(std::isnan(folder_.read(path_ / name).validation.value().loss));
}

// A checkpoint of another run is not confused with one of the same name here.
TEST_F(CheckpointFolderTest, AValidationBelongsToTheFolderThatWasRead) {
  folder_.write_validation(write(5, 1), {0.25, 81.5, 99.25, 400});
  CheckpointFolder other(unsynced_files(), root_.path() / "other");
  other.write(manifest_at(5, 1), files_of(5));
  EXPECT_FALSE(folder_.read(root_.path() / "other/step-00000005").validation);
  EXPECT_TRUE(other.read(path_ / "step-00000005").validation);
}

TEST_F(CheckpointFolderTest, SetsAsideWhatHasTheSameName) {
  write(5, 1);
  write(5, 2);
  write(5, 3);
  EXPECT_EQ(names_in(path_),
            (Words{"aside-000001-step-00000005", "aside-000002-step-00000005", "step-00000005"}));
  EXPECT_EQ(serials(), (std::vector<int64_t>{3}));
  EXPECT_EQ(folder_.last_serial(), 3);
  for (int copy = 0; copy < 2; ++copy) {  // without a serial, and names that are taken
    write_text(path_ / "step-00000005/manifest.json", "");
    folder_.set_aside(folder_.entries().front());
    write(5, 4);
  }
  EXPECT_TRUE(fs::exists(path_ / "aside-000000-step-00000005"));
  EXPECT_TRUE(fs::exists(path_ / "aside-000000-step-00000005-2"));
}

TEST_F(CheckpointFolderTest, LastSerialCountsWhatWasSetAside) {
  write(5, 8);
  folder_.set_aside(folder_.entries().front());
  write(6, 2);
  EXPECT_EQ(folder_.last_serial(), 8);
}

TEST_F(CheckpointFolderTest, PointsWhereItIsTold) {
  write(1, 1);
  EXPECT_EQ(folder_.pointed("best"), "");
  folder_.point("best", "step-00000001");
  EXPECT_EQ(folder_.pointed("best"), "step-00000001");
  EXPECT_TRUE(fs::exists(path_ / "best/manifest.json"));
  folder_.point("best", "");
  EXPECT_EQ(names_in(path_), (Words{"step-00000001"}));
}

TEST_F(CheckpointFolderTest, ClearsWhatAKilledRunLeftHalfWritten) {
  write(1, 1);
  fs::create_directories(path_ / "step-00000007.partial-1");
  write_text(path_ / "step-00000007.partial-1/model.pt", "half");
  fs::create_directory_symlink("step-00000007", path_ / "latest.partial-1");
  EXPECT_EQ(serials().size(), 1u);
  folder_.remove_unfinished();
  EXPECT_EQ(names_in(path_), (Words{"step-00000001"}));
}

TEST_F(CheckpointFolderTest, SaysWhenItCannotBeWritten) {
  write_text(path_, "a file in the way");
  EXPECT_THROW(write(1, 1), OutputError);
  EXPECT_EQ(read_text(path_), "a file in the way");
}

// What a file's own writer throws comes out as it is, and nothing is left of the save.
TEST_F(CheckpointFolderTest, ASaveThatIsNotFiniteLeavesNothing) {
  write(1, 1);
  const SavedFile bad = {"model.pt", [](const auto&) { throw DivergedError("w", "nan", ""); }};
  EXPECT_THROW(folder_.write(manifest_at(2, 2), {bad}), DivergedError);
  EXPECT_EQ(names_in(path_), (Words{"step-00000001"}));
}

}  // namespace
}  // namespace resnext::test
