// What the step does with graphs and with late reports, without a GPU.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/step_graph.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "comm/common/error.h"
#include "worker/step/step_reports.h"

namespace resnext {
namespace {

// Keeps the work instead of recording it; a replay does it.
class FakeGraph final : public GpuGraph {
 public:
  FakeGraph(int& replays, std::function<void()> on_capture)
      : replays_(replays), on_capture_(std::move(on_capture)) {}
  void capture(const std::function<void()>& work) override {
    on_capture_();
    work_ = work;
  }
  void replay() override {
    ++replays_;
    work_();
  }

 private:
  int& replays_;
  std::function<void()> on_capture_;
  std::function<void()> work_;
};

struct Counts {
  int made = 0, replays = 0, runs = 0;

  StepGraph::Maker maker(std::function<void()> on_capture = [] {}) {
    return [this, on_capture] {
      ++made;
      return std::make_unique<FakeGraph>(replays, on_capture);
    };
  }
};

TEST(StepGraph, RunsEverythingAsItIsWithoutGraphs) {
  StepGraph graph(graphs_of(at::kCPU, ""));
  int runs = 0;
  for (int i = 0; i < 2 * StepGraph::kWarmUp; ++i) {
    graph.begin_step();
    graph.run(0, [&] { ++runs; });
  }
  EXPECT_EQ(runs, 2 * StepGraph::kWarmUp);
  EXPECT_FALSE(graph.replayed());
  EXPECT_THROW(graph.run(0, [] { throw std::runtime_error("x"); }), std::runtime_error);
}

TEST(StepGraph, CapturesOtherPartsAnewAfterAnotherWarmUp) {
  Counts counts;
  StepGraph graph(counts.maker());
  const auto steps = [&](int n) {
    for (int i = 0; i < n; ++i) {
      graph.begin_step();
      graph.run(0, [&] { ++counts.runs; });
    }
  };
  steps(StepGraph::kWarmUp + 2);
  EXPECT_EQ(counts.made, 1);
  EXPECT_EQ(counts.replays, 2);
  graph.start_anew();
  steps(StepGraph::kWarmUp);
  EXPECT_FALSE(graph.replayed());
  EXPECT_EQ(counts.made, 1);
  steps(1);
  EXPECT_TRUE(graph.replayed());
  EXPECT_EQ(counts.made, 2);
}

TEST(StepGraph, CapturesEachPartOnceAfterItsWarmUpAndReplaysIt) {
  Counts counts;
  StepGraph graph(counts.maker());
  for (int step = 0; step < StepGraph::kWarmUp + 4; ++step) {
    graph.begin_step();
    for (int part : {1, 2}) {
      graph.run(part, [&] { ++counts.runs; });
      EXPECT_EQ(graph.replayed(), step >= StepGraph::kWarmUp);
    }
  }
  EXPECT_EQ(counts.made, 2);
  EXPECT_EQ(counts.replays, 2 * 4);
  EXPECT_EQ(counts.runs, 2 * (StepGraph::kWarmUp + 4));  // each once a step, however it was run
}

// A part that runs many times a step (gradient accumulation) is not captured any earlier.
TEST(StepGraph, CountsStepsForItsWarmUpAndNotRuns) {
  Counts counts;
  StepGraph graph(counts.maker());
  for (int step = 0; step < StepGraph::kWarmUp; ++step) {
    graph.begin_step();
    for (int i = 0; i < 10; ++i) graph.run(0, [&] { ++counts.runs; });
  }
  EXPECT_EQ(counts.made, 0);
  graph.begin_step();
  for (int i = 0; i < 10; ++i) graph.run(0, [&] { ++counts.runs; });
  EXPECT_EQ(counts.made, 1);
  EXPECT_EQ(counts.replays, 10);
}

// CUDA's errors come as our own type too, from the checks of our own calls.
TEST(StepGraph, GoesOnAsItIsWhenOurOwnCallsAreRefusedInACapture) {
  Counts counts;
  StepGraph graph(counts.maker(
      [] { throw Error(ExitCode::kInternal, "a call of CUDA", "is not permitted here", "none"); }));
  for (int step = 0; step < StepGraph::kWarmUp + 2; ++step) {
    graph.begin_step();
    graph.run(0, [&] { ++counts.runs; });
  }
  EXPECT_EQ(counts.runs, StepGraph::kWarmUp + 2);
}

TEST(StepGraph, GoesOnAsItIsWhenACaptureFails) {
  Counts counts;
  StepGraph graph(counts.maker([] { throw std::runtime_error("not permitted\nstack"); }));
  for (int step = 0; step < StepGraph::kWarmUp + 4; ++step) {
    graph.begin_step();
    graph.run(0, [&] { ++counts.runs; });
    EXPECT_FALSE(graph.replayed());
  }
  EXPECT_EQ(counts.made, 1);
  EXPECT_EQ(counts.runs, StepGraph::kWarmUp + 4);
}

TEST(StepGraph, ALostPeerIsNotAMatterOfGraphs) {
  Counts counts;
  StepGraph graph(counts.maker([] { throw CommError("rank 1", "is lost", "start again"); }));
  for (int step = 0; step < StepGraph::kWarmUp; ++step) {
    graph.begin_step();
    graph.run(0, [] {});
  }
  graph.begin_step();
  EXPECT_THROW(graph.run(0, [] {}), CommError);
}

// Two ranks, one after the other: what each says is kept, and each hears what the other will say.
TEST(StepGraph, RunsAsItIsWhenAnotherRankCannotCapture) {
  Counts counts;
  std::vector<bool> said;
  StepGraph graph(counts.maker(), [&](bool mine) {
    said.push_back(mine);
    return mine && said.size() < 2;  // the other rank fails at its second part
  });
  for (int step = 0; step < StepGraph::kWarmUp + 3; ++step) {
    graph.begin_step();
    for (int part : {1, 2}) graph.run(part, [&] { ++counts.runs; });
  }
  EXPECT_EQ(said, (std::vector<bool>{true, true}));  // and never again
  EXPECT_EQ(counts.replays, 1);
  EXPECT_FALSE(graph.replayed());
  EXPECT_EQ(counts.runs, 2 * (StepGraph::kWarmUp + 3));
}

// Before the first replay: its collectives would meet nobody.
TEST(StepGraph, TellsTheOtherRanksWhenItCannotCapture) {
  Counts counts;
  std::vector<bool> said;
  StepGraph graph(counts.maker([] { throw std::runtime_error("not permitted"); }), [&](bool mine) {
    said.push_back(mine);
    return mine;
  });
  for (int step = 0; step < StepGraph::kWarmUp + 3; ++step) {
    graph.begin_step();
    graph.run(0, [&] { ++counts.runs; });
  }
  EXPECT_EQ(said, std::vector<bool>{false});
  EXPECT_EQ(counts.replays, 0);
}

TEST(StepReports, GiveWhatWasPushedInOrder) {
  StepReports reports(0);
  const at::Tensor values = at::full({StepReports::kNumbers}, 0.0, at::kDouble);
  values[0].fill_(2.5);
  values[1].fill_(0.25);  // one of four ranks was asked
  reports.push(7, values);
  values[1].fill_(0);
  values[2].fill_(1);
  values[3].fill_(1024);
  values[4].fill_(0.5);
  reports.push(8, values);
  const std::vector<StepReport> due = reports.take(/*all=*/false);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(due[0].step, 7);
  EXPECT_EQ(due[0].loss, 2.5);
  EXPECT_TRUE(due[0].stop);
  EXPECT_FALSE(due[0].skipped);
  EXPECT_EQ(due[1].step, 8);
  EXPECT_FALSE(due[1].stop);
  EXPECT_TRUE(due[1].skipped);
  EXPECT_EQ(due[1].loss_scale, 1024);
  EXPECT_EQ(due[0].gradient_norm, 0);
  EXPECT_EQ(due[1].gradient_norm, 0.5);
  EXPECT_TRUE(reports.take(true).empty());
}

// As on a GPU: each is read two steps later, and all of them on demand.
TEST(StepReports, ComeLaterWhenTheHostRunsAhead) {
  StepReports reports(StepReports::kStepsAhead);
  std::vector<int64_t> seen;
  for (int64_t step = 1; step <= 5; ++step) {
    reports.push(step, at::full({StepReports::kNumbers}, static_cast<double>(step), at::kDouble));
    for (const StepReport& report : reports.take(/*all=*/false)) {
      EXPECT_EQ(report.loss, static_cast<double>(report.step));
      seen.push_back(report.step);
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()),
              std::max<int64_t>(0, step - StepReports::kStepsAhead));
  }
  EXPECT_EQ(reports.take(/*all=*/true).size(), 2u);
}

}  // namespace
}  // namespace resnext
