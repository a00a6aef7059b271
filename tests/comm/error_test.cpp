// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"

#include <gtest/gtest.h>

#include "comm/common/exit_meaning.h"

namespace resnext {
namespace {

TEST(Error, JoinsWhereWhatAndRemedyIntoOneLine) {
  const ConfigError error("a.yaml:3:1", "unknown key model.dept", "did you mean model.depth?");
  EXPECT_STREQ(error.what(), "a.yaml:3:1: unknown key model.dept; did you mean model.depth?");
}

TEST(Error, LeavesOutEmptyParts) {
  EXPECT_STREQ(DataError("", "broken", "").what(), "broken");
}

TEST(Error, HasTheExitCodeOfItsKind) {
  EXPECT_EQ(static_cast<int>(ConfigError("", "", "").exit_code()), 64);
  EXPECT_EQ(static_cast<int>(CheckpointError("", "", "").exit_code()), 64);
  EXPECT_EQ(static_cast<int>(DataError("", "", "").exit_code()), 65);
  EXPECT_EQ(static_cast<int>(OutputError("", "", "").exit_code()), 73);
  EXPECT_EQ(static_cast<int>(CommError("", "", "").exit_code()), 76);
  EXPECT_EQ(static_cast<int>(DivergedError("", "", "").exit_code()), 77);
}

TEST(ToError, LeavesAnErrorAsItIs) {
  const Error error = to_error(DataError("a.h5", "broken", "pack it again"));
  EXPECT_EQ(error.exit_code(), ExitCode::kData);
  EXPECT_STREQ(error.what(), "a.h5: broken; pack it again");
}

TEST(ToError, AFullGpuIsAMatterOfTheConfiguration) {
  for (const char* text : {"CUDA out of memory. Tried to allocate 2.00 GiB.\nframe #0: f()",
                           "CUDA error: out of memory\nCUDA kernel errors might be ...",
                           "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
                           "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"}) {
    const Error error = to_error(std::runtime_error(text));
    EXPECT_EQ(error.exit_code(), ExitCode::kConfig) << text;
    EXPECT_NE(std::string(error.what()).find("lower batch.per_rank"), std::string::npos);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

TEST(ToError, AllElseIsInternalAndOneLine) {
  const Error error = to_error(std::runtime_error("out of memory\nframe #0: f()"));
  EXPECT_EQ(error.exit_code(), ExitCode::kInternal);
  EXPECT_STREQ(error.what(), "out of memory");
}

TEST(MeaningOf, HasWordsForEveryEnd) {
  EXPECT_EQ(meaning_of(ExitCode::kDiverged), "diverged");
  EXPECT_EQ(meaning_of(75), "stopped on request");
  EXPECT_EQ(meaning_of(128 + 9), "killed by signal 9");
  EXPECT_EQ(meaning_of(3), "exit code 3");
  for (const int code : {0, 64, 65, 70, 73, 75, 76, 77}) {
    EXPECT_EQ(meaning_of(code).find("exit code"), std::string::npos) << code;
  }
}

}  // namespace
}  // namespace resnext
