// Lines of earlier starts: each that holds where the run goes on is there once.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/metrics_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "tests/support/faulty_files.h"
#include "tests/support/process.h"

namespace resnext::test {
namespace {

class MetricsLogTest : public testing::Test {
 protected:
  std::string text() const { return read_text(path_); }
  // What is left of `before` for a start.
  std::string kept(const std::string& before, const KeptLines& lines) const {
    write_text(path_, before);
    MetricsLog log(posix_files(), path_, lines);
    return text();
  }

  std::vector<std::string> names() const { return posix_files().list(folder_.path()); }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "metrics.jsonl";
};

constexpr const char* kStart = "{\"event\":\"start\",\"step\":0}\n";
constexpr const char* kTrain1 = "{\"event\":\"train\",\"step\":1}\n";
constexpr const char* kTrain2 = "{\"event\":\"train\",\"step\":2}\n";
constexpr const char* kValidation2 = "{\"event\":\"validation\",\"step\":2}\n";
constexpr const char* kEnd2 = "{\"event\":\"end\",\"step\":2}\n";
constexpr const char* kTrain3 = "{\"event\":\"train\",\"step\":3}\n";

TEST_F(MetricsLogTest, WritesOneObjectALine) {
  MetricsLog log(posix_files(), path_, {});
  log.write({{"event", "train"}, {"step", 1}, {"loss", 0.5}});
  log.write({{"event", "end"}, {"exit_code", 0}});
  log.sync();
  EXPECT_EQ(text(),
            "{\"event\":\"train\",\"step\":1,\"loss\":0.5}\n{\"event\":\"end\",\"exit_code\":0}\n");
}

// What a killed run had written past its last checkpoint comes again, so it goes first.
TEST_F(MetricsLogTest, DropsWhatWillBeWrittenAgain) {
  const std::string until = std::string(kStart) + kTrain1 + kTrain2 + kValidation2 + kEnd2;
  EXPECT_EQ(kept(until + kTrain3 + "{\"event\":\"tra", {2, true, false}), until);
  EXPECT_EQ(kept(until + kTrain3, {1, true, false}), std::string(kStart) + kTrain1);
  EXPECT_EQ(kept(until, {99, true, false}), until);
  EXPECT_EQ(names().size(), 1u);
}

TEST_F(MetricsLogTest, AValidationThatIsMadeAgainIsDropped) {
  const std::string all = std::string(kTrain1) + kTrain2 + kValidation2 + kEnd2;
  EXPECT_EQ(kept(all, {2, false, false}), std::string(kTrain1) + kTrain2 + kEnd2);
  const std::string averages = "{\"event\":\"ema_validation\",\"step\":2}\n";
  EXPECT_EQ(kept(all + averages, {2, false, false}), std::string(kTrain1) + kTrain2 + kEnd2);
  EXPECT_EQ(kept(all + averages, {2, true, false}), all + averages);
  EXPECT_EQ(kept(all, {3, false, false}), all);  // it is of an earlier place
}

// Another line of the run keeps what was measured in the one that it leaves.
TEST_F(MetricsLogTest, WhatIsLeftIsSetAside) {
  const std::string all = std::string(kTrain1) + kTrain2 + kTrain3;
  EXPECT_EQ(kept(all, {2, true, true}), std::string(kTrain1) + kTrain2);
  EXPECT_EQ(read_text(folder_ / "metrics.1.jsonl"), all);
  EXPECT_EQ(kept(all, {1, true, true}), kTrain1);
  EXPECT_EQ(read_text(folder_ / "metrics.2.jsonl"), all);
  EXPECT_EQ(kept(all, {3, true, true}), all);  // nothing is left
  EXPECT_EQ(names().size(), 3u);
}

TEST_F(MetricsLogTest, LinesOfOthersStay) {
  const std::string mine = "{\"note\":\"of mine\"}\n{\"step\":\"second\"}\n";
  EXPECT_EQ(kept(mine + kTrain3, {2, true, false}), mine);
}

TEST_F(MetricsLogTest, SaysWhenItCannotWrite) {
  EXPECT_THROW(MetricsLog(posix_files(), folder_ / "missing/metrics.jsonl", {}), OutputError);
}

// However a start ends at its first file calls, no line of before is lost.
TEST_F(MetricsLogTest, LosesNothingAtAnyFault) {
  const std::string before = std::string(kTrain1) + kTrain2 + kTrain3;
  for (const Fault fault : {Fault::kDeathBefore, Fault::kDeathWithin, Fault::kNoSpace}) {
    for (int64_t at = 0;; ++at) {
      for (const auto& name : names()) std::filesystem::remove(folder_.path() / name);
      write_text(path_, before);
      FaultyFiles files(fault, at);
      try {
        MetricsLog(files, path_, {2, true, true});
      } catch (const Death&) {
      } catch (const OutputError&) {
      }
      if (files.calls() <= at) break;
      EXPECT_TRUE(text() == before || text() == std::string(kTrain1) + kTrain2) << at;
      EXPECT_TRUE(text() == before || read_text(folder_ / "metrics.1.jsonl") == before) << at;
    }
  }
}

}  // namespace
}  // namespace resnext::test
