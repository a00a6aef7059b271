// Who goes on behind a rung: by metrics alone, on curves whose winner is known.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_halving.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "tests/support/process.h"

namespace resnext {
namespace {

using Names = std::vector<std::string>;

class HalvingTest : public testing::Test {
 protected:
  // `seeds` trials to a group; a lone one has the group's name.
  void add(const std::string& group, int seeds = 1) {
    for (int seed = 1; seed <= seeds; ++seed) {
      Trial trial;
      trial.group = group;
      trial.name = seeds == 1 ? group : group + "-seed" + std::to_string(seed);
      trials_.push_back(trial);
    }
  }
  void reach(SweepJournal& journal, const std::string& trial, int64_t epochs,
             std::optional<double> score) const {
    TrialRecord record = journal.record(trial);
    record.starts = 1;
    record.exit_code = 0;
    record.rungs[epochs] = score;
    journal.write(trial, record);
  }
  void reach(const std::string& trial, int64_t epochs, std::optional<double> score) {
    reach(journal_, trial, epochs, score);
  }
  Halving decide(SweepJournal& journal) const {
    Halving halving = halve(rule_, trials_, journal);
    for (const RungDecision& decision : halving.made) journal.write(decision);
    return halving;
  }
  Halving decide() { return decide(journal_); }
  Names stopped(const Halving& halving, int rung) const {
    Names names;
    for (const auto& [trial, at] : halving.stopped_at) {
      if (at == rung) names.push_back(trial);
    }
    return names;
  }

  test::TemporaryFolder folder_;
  SweepJournal journal_{folder_ / "trials.jsonl"};
  StopRule rule_{"top1", Goal::kMax, {5, 15}, 1.0 / 3, ""};
  std::vector<Trial> trials_;
};

// Trial i falls from 90 % error to its floor, which is lowest for 0; four others are faster.
double top1(int i, double epochs) {
  const double floor = 20 + i;
  const double pace = i >= 1 && i <= 4 ? 3 : 4;  // epochs
  return 100 - floor - (90 - floor) * std::exp(-epochs / pace);
}

TEST_F(HalvingTest, KeepsTheWinnerInWhateverOrderTrialsCome) {
  constexpr int kTrials = 18;
  for (int i = 0; i < kTrials; ++i) add("t" + std::to_string(i));
  int best_early = 0;
  for (int i = 0; i < kTrials; ++i) best_early = top1(i, 5) > top1(best_early, 5) ? i : best_early;
  ASSERT_NE(best_early, 0) << "the winner is not the first at the first rung";
  std::set<std::string> journals;
  for (const unsigned order : {1U, 2U, 3U}) {
    const auto file = folder_.path() / ("journal" + std::to_string(order));
    SweepJournal journal(file);
    Names names;
    for (const Trial& trial : trials_) names.push_back(trial.name);
    std::shuffle(names.begin(), names.end(), std::mt19937(order));
    for (const int64_t epochs : rule_.rungs) {
      for (const std::string& name : names) {
        EXPECT_EQ(decide(journal).pause, epochs);
        const int stopped = halve(rule_, trials_, journal).stopped_at[name];
        const int i = std::stoi(name.substr(1));
        if (stopped == 0) reach(journal, name, epochs, top1(i, static_cast<double>(epochs)));
      }
    }
    const Halving end = decide(journal);
    EXPECT_EQ(end.pause, std::nullopt);
    EXPECT_EQ(stopped(end, 1).size(), 12U);
    EXPECT_EQ(stopped(end, 2).size(), 4U);
    EXPECT_FALSE(end.stopped_at.contains("t0")) << "the winner";
    std::string decisions;
    for (const int rung : {1, 2}) decisions += describe(*journal.decision(rung)) + "\n";
    journals.insert(decisions);
    SweepJournal again(file);
    again.read();
    EXPECT_TRUE(halve(rule_, trials_, again).made.empty()) << "all is written down";
    EXPECT_EQ(halve(rule_, trials_, again).stopped_at, end.stopped_at);
  }
  EXPECT_EQ(journals.size(), 1U) << "decided the same";
}

TEST_F(HalvingTest, RepeatsGoOnTogetherByTheirMean) {
  rule_.keep = 0.5;
  add("steady", 2);
  add("lucky", 2);
  reach("steady-seed1", 5, 60);
  reach("steady-seed2", 5, 61);
  reach("lucky-seed1", 5, 70);
  EXPECT_EQ(decide().awaited, Names{"lucky-seed2"});
  reach("lucky-seed2", 5, 40);
  EXPECT_EQ(stopped(decide(), 1), (Names{"lucky-seed1", "lucky-seed2"}));
}

TEST_F(HalvingTest, ARungWaitsForAllButThoseThatDiverged) {
  for (const char* name : {"a", "b", "c", "d"}) add(name);
  rule_.keep = 0.5;
  reach("a", 5, 10);
  TrialRecord lost;
  lost.starts = 1;
  lost.exit_code = 76;
  journal_.write("b", lost);
  EXPECT_EQ(decide().awaited, (Names{"b", "c", "d"}));
  reach("b", 5, 30);
  reach("c", 5, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(decide().awaited, Names{"d"});
  TrialRecord diverged = lost;
  diverged.exit_code = 77;
  journal_.write("d", diverged);
  const Halving halving = decide();
  EXPECT_EQ(stopped(halving, 1), (Names{"c", "d"}));
  EXPECT_EQ(halving.rung, 1U);
  EXPECT_EQ(halving.awaited, (Names{"a", "b"})) << "of the next rung";
}

TEST_F(HalvingTest, OneGoesOnAtLeastAndNoneWithoutAScore) {
  rule_.keep = 0.01;
  add("a");
  add("b");
  reach("a", 5, 1);
  reach("b", 5, 1);
  EXPECT_EQ(stopped(decide(), 1), Names{"b"}) << "of equal ones the first";
  reach("a", 5, std::nullopt);
  reach("b", 5, std::nullopt);
  rule_.keep = 0.5;  // decided anew
  EXPECT_EQ(stopped(decide(), 1), (Names{"a", "b"}));
}

TEST_F(HalvingTest, SharesAreCountedAsWritten) {
  rule_ = {"loss", Goal::kMin, {1}, 0.29, ""};
  for (int i = 0; i < 100; ++i) {
    add(std::to_string(i));
    reach(std::to_string(i), 1, i);
  }
  const Halving halving = decide();
  EXPECT_EQ(halving.stopped_at.size(), 71U) << "0.29 * 100 is a little less than 29";
  EXPECT_FALSE(halving.stopped_at.contains("28"));
  EXPECT_TRUE(halving.stopped_at.contains("29"));
}

TEST_F(HalvingTest, WhatWasDecidedCountsUntilTheSweepIsEdited) {
  rule_.keep = 0.5;
  rule_.rungs = {5};
  add("a");
  add("b");
  reach("a", 5, 1);
  reach("b", 5, 2);
  EXPECT_EQ(stopped(decide(), 1), Names{"a"});
  reach("a", 5, 3);  // it was trained again, and came out otherwise
  EXPECT_EQ(stopped(decide(), 1), Names{"a"});
  add("c");
  add("d");
  EXPECT_EQ(decide().awaited, (Names{"c", "d"}));
  reach("c", 5, 2.5);
  reach("d", 5, 0);
  EXPECT_EQ(stopped(decide(), 1), (Names{"b", "d"})) << "one that was stopped goes on";
  rule_.goal = Goal::kMin;
  EXPECT_EQ(stopped(decide(), 1), (Names{"a", "c"}));
  rule_.rungs = {4, 5};
  EXPECT_EQ(decide().awaited.size(), 4U);
}

TEST_F(HalvingTest, WithoutRungsNothingStops) {
  rule_ = {};
  add("a");
  const Halving halving = decide();
  EXPECT_EQ(halving.pause, std::nullopt);
  EXPECT_TRUE(halving.stopped_at.empty());
}

TEST_F(HalvingTest, ScoresAreThoseOfTheLastValidationUpToARung) {
  std::string lines;
  for (const int epochs : {2, 4, 6}) {
    const std::string n = std::to_string(epochs);
    lines += R"({"event":"validation","step":)" + n + R"(0,"epoch":)" + std::to_string(epochs - 1) +
             R"(,"top1":)" + n + "}\n";
  }
  test::write_text(folder_ / "metrics.jsonl", lines);
  rule_.rungs = {5, 15};
  TrialRecord record = with_results({}, folder_.path(), rule_);
  EXPECT_EQ(record.rungs, (std::map<int64_t, std::optional<double>>{{5, 4}}));
  lines += R"({"event":"end","step":60,"total_steps":200,"exit_code":0})";
  test::write_text(folder_ / "metrics.jsonl", lines);
  record = with_results({}, folder_.path(), rule_);
  EXPECT_TRUE(record.paused && !record.finished);
  lines +=
      "\n"
      R"({"event":"end","step":60,"total_steps":60,"exit_code":0})";
  test::write_text(folder_ / "metrics.jsonl", lines);
  record = with_results({}, folder_.path(), rule_);
  EXPECT_TRUE(record.finished && !record.paused);
  EXPECT_EQ(record.rungs.at(15), 6) << "what has ended early has come to all";
}

}  // namespace
}  // namespace resnext
