// Writing containers: what is refused, and what is left behind.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/container_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "comm/common/error.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::TemporaryFolder;

TEST(ContainerWriter, RefusesClassesThatShareANameOrHaveNone) {
  const TemporaryFolder folder;
  for (const auto& names : {ClassNames{"a", "b", "a"}, ClassNames{"a", ""}}) {
    ContainerWriter writer(folder / "a.h5");
    writer.append(Bytes{1, 2, 3}, 0);
    ContainerDescription description;
    description.height = description.width = 1;
    description.class_names = names;
    EXPECT_THROW(writer.finish(description), DataError);
  }
}

TEST(ContainerWriter, LeavesNothingBehindUnlessFinished) {
  const TemporaryFolder folder;
  {
    ContainerWriter writer(folder / "a.h5");
    writer.append(Bytes(3), 0);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
  ContainerWriter empty(folder / "b.h5");
  EXPECT_THROW(empty.finish({}), DataError);
}

TEST(ContainerWriter, ReportsFoldersThatDoNotExist) {
  const TemporaryFolder folder;
  EXPECT_THROW(ContainerWriter(folder / "missing/a.h5"), OutputError);
}

// A limit on the size of files stands for the full disk: both fail in write().
TEST(ContainerWriter, ReportsAFullDisk) {
  const TemporaryFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1 << 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(
      {
        ContainerWriter writer(folder / "a.h5");
        for (int i = 0; i < 20; ++i) writer.append(Bytes(1 << 20), 0);
        writer.finish({});
      },
      OutputError);
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

}  // namespace
}  // namespace resnext
