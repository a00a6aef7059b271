// One job at a time, whose end and error the caller learns.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/background_save.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

#include "comm/common/error.h"

namespace resnext {
namespace {

TEST(BackgroundSave, RunsWhileTheCallerGoesOn) {
  BackgroundSave saver;
  EXPECT_FALSE(saver.running());
  std::promise<void> go;
  std::thread::id where;
  saver.start([&, may = go.get_future().share()] {
    may.wait();
    where = std::this_thread::get_id();
  });
  EXPECT_TRUE(saver.running());  // it cannot end before we let it
  EXPECT_FALSE(saver.failed());
  go.set_value();
  saver.wait();
  EXPECT_FALSE(saver.running());
  EXPECT_NE(where, std::this_thread::get_id());
}

// Without any lock of their own: the jobs come one after the other.
TEST(BackgroundSave, StartWaitsForTheOneBefore) {
  std::vector<int> order;
  {
    BackgroundSave saver;
    for (int i = 0; i < 200; ++i) saver.start([&order, i] { order.push_back(i); });
  }  // and the end waits, too
  ASSERT_EQ(order.size(), 200u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(BackgroundSave, TellsTheFirstErrorEachTime) {
  BackgroundSave saver;
  saver.start([] { throw OutputError("f", "is full", "free space"); });
  EXPECT_TRUE(saver.settled(60));
  EXPECT_TRUE(saver.failed());
  for (int i = 0; i < 2; ++i) EXPECT_THROW(saver.wait(), OutputError);
  bool began = false;
  EXPECT_THROW(saver.start([&] { began = true; }), OutputError);
  EXPECT_FALSE(began);
  EXPECT_TRUE(saver.failed());
  EXPECT_TRUE(saver.settled(60));
}

TEST(BackgroundSave, AnErrorThatNobodyAskedForHurtsNobody) {
  BackgroundSave saver;
  saver.start([] { throw 1; });
}

TEST(BackgroundSave, ATestRunsJobsItsOwnWay) {
  std::vector<std::function<void()>> jobs;
  BackgroundSave saver({[&](std::function<void()> job) { jobs.push_back(std::move(job)); }, [] {}});
  int runs = 0;
  saver.start([&] { ++runs; });
  EXPECT_TRUE(saver.running());
  EXPECT_EQ(runs, 0);
  jobs.front()();
  EXPECT_FALSE(saver.running());
  EXPECT_EQ(runs, 1);
}

// A thread that cannot be made is an error now, and nothing to wait for.
TEST(BackgroundSave, AJobThatCannotBeStartedIsNotWaitedFor) {
  BackgroundSave saver({[](const std::function<void()>&) {
                          throw std::system_error(EAGAIN, std::generic_category(), "thread");
                        },
                        [] {}});
  EXPECT_THROW(saver.start([] {}), std::system_error);
  EXPECT_FALSE(saver.running());
  EXPECT_NO_THROW(saver.wait());
}

}  // namespace
}  // namespace resnext
