// Each check says what is wrong and what to do.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/doctor.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/process.h"

namespace resnext {
namespace {

TEST(Doctor, NamesDuplicateAndMissingGpus) {
  Machine machine;
  machine.gpus = 4;
  EXPECT_EQ(check_gpus(machine).verdict, Verdict::kFine);
  machine.environment["CUDA_VISIBLE_DEVICES"] = "0,1,0";
  EXPECT_NE(check_gpus(machine).what.find("names 0 twice"), std::string::npos);
  machine.environment["CUDA_VISIBLE_DEVICES"] = "0,1,2,3,4";
  EXPECT_EQ(check_gpus(machine).verdict, Verdict::kBad);
  machine.environment["CUDA_VISIBLE_DEVICES"] = "2";
  EXPECT_EQ(check_gpus(machine).verdict, Verdict::kFine);
}

TEST(Doctor, FindsOneCoreBinding) {
  Machine machine;
  machine.cores = 1;
  EXPECT_EQ(check_binding(machine, 64).verdict, Verdict::kBad);
  EXPECT_EQ(check_binding(machine, 1).verdict, Verdict::kFine);
  machine.cores = 2;
  EXPECT_EQ(check_binding(machine, 64).verdict, Verdict::kFine);
}

TEST(Doctor, PointsToContainerBridges) {
  Machine machine;
  machine.interfaces = {"docker0", "eth0"};
  EXPECT_EQ(check_interfaces(machine).verdict, Verdict::kNote);
  machine.interfaces = {"eth0"};
  EXPECT_EQ(check_interfaces(machine).verdict, Verdict::kFine);
}

TEST(Doctor, TriesToLockAndLeavesNothing) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(check_locking(folder.path(), {}).verdict, Verdict::kFine);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(check_locking("/proc", {}).verdict, Verdict::kNote);
  EXPECT_EQ(check_locking("/proc", {{"HDF5_USE_FILE_LOCKING", "FALSE"}}).verdict, Verdict::kFine);
}

TEST(Doctor, ComparesFreeSpace) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(check_space(folder / "not/yet/there", 1).verdict, Verdict::kFine);
  EXPECT_EQ(check_space(folder.path(), 1e20).verdict, Verdict::kBad);
}

}  // namespace
}  // namespace resnext
