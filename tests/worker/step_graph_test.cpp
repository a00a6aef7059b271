// Without a GPU: everything runs as it is, and reports are there at once.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step_graph.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "worker/step_reports.h"

namespace resnext {
namespace {

TEST(StepGraph, RunsEachPartAsItIsOnTheCpu) {
  StepGraph graph(at::kCPU, "");
  int runs = 0;
  for (int i = 0; i < 2 * StepGraph::kWarmUp; ++i) graph.run(i % 2, [&] { ++runs; });
  EXPECT_EQ(runs, 2 * StepGraph::kWarmUp);
  EXPECT_FALSE(graph.replayed());
  EXPECT_THROW(graph.run(0, [] { throw std::runtime_error("x"); }), std::runtime_error);
}

TEST(StepReports, GiveWhatWasPushedInOrder) {
  StepReports reports(at::kCPU);
  const at::Tensor values = at::full({4}, 0.0, at::kDouble);
  values[0].fill_(2.5);
  values[1].fill_(0.25);  // one of four ranks was asked
  reports.push(7, values);
  values[1].fill_(0);
  values[2].fill_(1);
  values[3].fill_(1024);
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
  EXPECT_TRUE(reports.take(true).empty());
}

}  // namespace
}  // namespace resnext
