// Parts of a step in CUDA graphs: values, memory, time, and captures that fail.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/cuda/Sleep.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "comm/common/error.h"
#include "tests/gpu/gpu_test.h"
#include "worker/device/gpu.h"
#include "worker/step/step_graph.h"
#include "worker/step/step_reports.h"

namespace resnext {
namespace {

class StepGraphGpu : public test::GpuTest {
 protected:
  at::Tensor number(double value) const {
    return at::full({}, value, at::TensorOptions().dtype(at::kDouble).device(gpu()));
  }
};

double read(const at::Tensor& number) {
  return number.item<double>();
}

TEST_F(StepGraphGpu, AReplayReadsWhatHasChanged) {
  StepGraph graph(graphs_of(gpu(), ""));
  const at::Tensor x = number(0), y = number(0);
  for (int i = 0; i < 10; ++i) {
    x.fill_(i);
    graph.begin_step();
    graph.run(0, [&] { y.copy_(x.mul(3).add(1)); });
    EXPECT_EQ(read(y), 3 * i + 1);
    EXPECT_EQ(graph.replayed(), i >= StepGraph::kWarmUp);
  }
}

TEST_F(StepGraphGpu, RunsAsItIsWhereAReasonIsGiven) {
  StepGraph graph(graphs_of(gpu(), "the test wants it"));
  int runs = 0;
  for (int i = 0; i < 10; ++i) {
    graph.begin_step();
    graph.run(0, [&] { ++runs; });
  }
  EXPECT_EQ(runs, 10);
  EXPECT_FALSE(graph.replayed());
}

// Parts use one another's memory, but not each other's results.
TEST_F(StepGraphGpu, PartsDoNotDisturbEachOther) {
  StepGraph graph(graphs_of(gpu(), ""));
  const auto large = at::TensorOptions().dtype(at::kFloat).device(gpu());
  const at::Tensor x = at::zeros({1 << 20}, large), first = at::zeros({1 << 20}, large),
                   second = at::zeros({1 << 20}, large);
  for (int i = 0; i < 8; ++i) {
    x.fill_(i);
    graph.begin_step();
    graph.run(1, [&] { first.copy_(x.mul(2).add(1).mul(3)); });
    graph.run(2, [&] { second.copy_(first.add(x.mul(5).add(7))); });
    const auto expected = static_cast<float>(3 * (2 * i + 1) + 5 * i + 7);
    EXPECT_TRUE(second.eq(expected).all().item<bool>()) << i;
  }
}

// What the warm-up has left in LibTorch's cache must not stay reserved beside the graph's memory.
TEST_F(StepGraphGpu, TheGraphsMemoryTakesThePlaceOfTheWarmUps) {
  constexpr int64_t kBytes = int64_t{1} << 30;
  StepGraph graph(graphs_of(gpu(), ""));
  const at::Tensor y = number(0);
  const auto bytes = at::TensorOptions().dtype(at::kByte).device(gpu());
  c10::cuda::CUDACachingAllocator::emptyCache();
  const int64_t before = gpu_peak_bytes(gpu().index());
  for (int i = 0; i < 6; ++i) {
    graph.begin_step();
    graph.run(0, [&] { y.copy_(at::zeros({kBytes}, bytes)[0].to(at::kDouble)); });
  }
  EXPECT_EQ(read(y), 0);
  ASSERT_TRUE(graph.replayed());
  EXPECT_LT(gpu_peak_bytes(gpu().index()) - before, kBytes + kBytes / 2);
}

// ---- captures that fail ------------------------------------------------------------------------

// Reading a value is what a graph cannot hold. Afterwards LibTorch's allocator must be whole: it
// refuses to give memory back while it believes that something is being captured.
TEST_F(StepGraphGpu, AFailedCaptureLeavesEverythingAsItWas) {
  StepGraph graph(graphs_of(gpu(), ""));
  const at::Tensor x = number(1);
  double seen = 0;
  for (int i = 0; i < 8; ++i) {
    graph.begin_step();
    graph.run(0, [&] {
      x.add_(1);
      seen = read(x);
    });
    EXPECT_EQ(seen, i + 2) << "a run was lost or done twice";
    EXPECT_FALSE(graph.replayed());
  }
  EXPECT_NO_THROW(c10::cuda::CUDACachingAllocator::emptyCache());
  StepGraph another(graphs_of(gpu(), ""));
  for (int i = 0; i < 6; ++i) {
    another.begin_step();
    another.run(0, [&] { x.add_(1); });
  }
  EXPECT_TRUE(another.replayed());
  EXPECT_EQ(read(x), 15);
}

// A part that cannot be captured, behind one that was.
TEST_F(StepGraphGpu, OneFailedPartMakesAllRunAsTheyAre) {
  StepGraph graph(graphs_of(gpu(), ""));
  const at::Tensor x = number(0);
  for (int i = 0; i < 8; ++i) {
    graph.begin_step();
    graph.run(1, [&] { x.add_(1); });
    graph.run(2, [&] { x.add_(read(x) > 0 ? 1 : 100); });
  }
  EXPECT_FALSE(graph.replayed());
  EXPECT_EQ(read(x), 16);
}

TEST_F(StepGraphGpu, ALostPeerIsNoMatterOfGraphs) {
  StepGraph graph(graphs_of(gpu(), ""));
  const at::Tensor x = number(0);
  int runs = 0;
  const auto work = [&] {
    x.add_(1);
    if (++runs > StepGraph::kWarmUp) throw CommError("rank 0", "a peer is lost", "start again");
  };
  for (int i = 0; i < StepGraph::kWarmUp; ++i) {
    graph.begin_step();
    graph.run(0, work);
  }
  graph.begin_step();
  EXPECT_THROW(graph.run(0, work), CommError);
  EXPECT_EQ(runs, StepGraph::kWarmUp + 1);
  EXPECT_NO_THROW(c10::cuda::CUDACachingAllocator::emptyCache());
  EXPECT_EQ(read(x), StepGraph::kWarmUp);
}

// ---- what the host gets to know ---------------------------------------------------------------

TEST_F(StepGraphGpu, MomentsTellTheTimeOfEachReplay) {
  StepGraph graph(graphs_of(gpu(), ""));
  const at::Tensor x = number(0);
  const auto begin = make_gpu_moment(), end = make_gpu_moment();
  for (int i = 0; i < 6; ++i) {
    graph.begin_step();
    graph.run(0, [&] {
      begin->record();
      at::cuda::sleep(1'000'000);
      end->record();
      x.add_(1);
    });
    EXPECT_EQ(read(x), i + 1);
    EXPECT_GT(end->ms_since(*begin), 0.1) << i;  // a million cycles below 10 GHz
  }
}

// Reports are read later, but hold what was there when they were pushed.
TEST_F(StepGraphGpu, ReportsComeLateAndUnchanged) {
  StepReports reports(StepReports::kStepsAhead);
  const at::Tensor values =
      at::zeros({StepReports::kNumbers}, at::TensorOptions().dtype(at::kDouble).device(gpu()));
  int64_t taken = 0;
  const auto check = [&](const std::vector<StepReport>& due) {
    for (const StepReport& report : due) {
      EXPECT_EQ(report.step, ++taken);
      EXPECT_EQ(report.loss, 10.0 * static_cast<double>(report.step));
    }
  };
  const ForbidSynchronisation forbid;
  for (int64_t step = 1; step <= 20; ++step) {
    at::cuda::sleep(1'000'000);
    values.fill_(10.0 * static_cast<double>(step));
    reports.push(step, values);
    values.fill_(-1);
    check(reports.take(/*all=*/false));
    EXPECT_EQ(taken, std::max<int64_t>(0, step - StepReports::kStepsAhead));
  }
  check(reports.take(/*all=*/true));
  EXPECT_EQ(taken, 20);
}

TEST_F(StepGraphGpu, ReadingAValueIsSeenWhereItIsForbidden) {
  const at::Tensor x = number(1);
  {
    const ForbidSynchronisation forbid;
    EXPECT_ANY_THROW(read(x));
  }
  EXPECT_EQ(read(x), 1);
}

}  // namespace
}  // namespace resnext
