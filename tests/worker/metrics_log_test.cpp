// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/metrics_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

class MetricsLogTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string text() const {
    std::ifstream stream(path_);
    std::stringstream content;
    content << stream.rdbuf();
    return content.str();
  }

  fs::path folder_ = fs::temp_directory_path() / ("metrics_log_test_" + std::to_string(::getpid()));
  std::string path_ = (folder_ / "metrics.jsonl").string();
};

TEST_F(MetricsLogTest, WritesOneObjectALine) {
  MetricsLog log(path_, 0);
  log.write({{"event", "train"}, {"step", 1}, {"loss", 0.5}});
  log.write({{"event", "end"}, {"exit_code", 0}});
  EXPECT_EQ(text(),
            "{\"event\":\"train\",\"step\":1,\"loss\":0.5}\n{\"event\":\"end\",\"exit_code\":0}\n");
}

// What a killed run had written past its last checkpoint comes again, so it goes first.
TEST_F(MetricsLogTest, DropsWhatWillBeWrittenAgain) {
  {
    MetricsLog log(path_, 0);
    log.write({{"event", "start"}, {"step", 0}});
    for (int step = 1; step <= 4; ++step) log.write({{"event", "train"}, {"step", step}});
    log.write({{"event", "end"}, {"step", 4}});
  }
  std::ofstream(path_, std::ios::app) << "{\"event\":\"tra";
  MetricsLog log(path_, 2);
  log.write({{"event", "train"}, {"step", 3}});
  EXPECT_EQ(text(),
            "{\"event\":\"start\",\"step\":0}\n{\"event\":\"train\",\"step\":1}\n"
            "{\"event\":\"train\",\"step\":2}\n{\"event\":\"train\",\"step\":3}\n");
}

TEST_F(MetricsLogTest, SaysWhenItCannotWrite) {
  EXPECT_THROW(MetricsLog((folder_ / "missing" / "metrics.jsonl").string(), 0), OutputError);
}

}  // namespace
}  // namespace resnext
