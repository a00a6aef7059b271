// What is due where, whatever batches led there: counted by a walk over images.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/course.h"

#include <gtest/gtest.h>

#include <set>

namespace resnext {
namespace {

RunConfig config_of(int64_t epochs, int64_t steps = 0) {
  RunConfig config;
  config.run.epochs = epochs;
  config.run.steps = steps;
  return config;
}

// Takes updates from `progress` on, at most `limit`; the steps at which `due` said so.
template <class Due>
std::set<int64_t> walk(const Course& course, Progress& progress, int64_t limit, Due due) {
  std::set<int64_t> steps;
  for (int64_t i = 0; i < limit && !course.finished(progress); ++i) {
    course.advance(progress);
    if (due(progress)) steps.insert(progress.step);
  }
  return steps;
}

// A pause ends a start, not the run.
// Without the order.
Position place(const Progress& progress) {
  return {progress.position.epoch, progress.position.images};
}

TEST(Course, PausesBehindAnEpoch) {
  RunConfig config = config_of(4);
  config.run.pause_epoch = 2;
  const Course course(config, 320, 8, true);
  Progress progress;
  while (!course.ended(progress)) course.advance(progress);
  EXPECT_EQ(progress.step, 80);
  EXPECT_TRUE(course.validation_due(progress) && course.log_due(progress));
  EXPECT_FALSE(course.finished(progress));
  EXPECT_EQ(course.total_steps(progress), 160);
  config.run.pause_epoch = 0;
  while (!course.ended(progress)) course.advance(progress);
  EXPECT_EQ(progress.step, 160);
}

bool never(const Progress&) {
  return false;
}

constexpr int64_t kMany = 1'000'000;

// 50 updates of 8 images, then 3 ranks of 8: 10 more end the second epoch, then 13 an epoch.
TEST(Course, CountsTheUpdatesOfAChangedRun) {
  const RunConfig config = config_of(4);
  const Course first(config, 320, 8, true), then(config, 320, 24, true);
  Progress progress;
  EXPECT_EQ(first.total_steps(progress), 160);
  walk(first, progress, 50, never);
  EXPECT_EQ(progress.step, 50);
  EXPECT_EQ(place(progress), (Position{1, 80}));
  EXPECT_FALSE(then.adopt(progress));
  EXPECT_EQ(then.total_steps(progress), 86);
  const auto validations =
      walk(then, progress, kMany, [&](const Progress& p) { return then.validation_due(p); });
  EXPECT_EQ(progress.step, 86);
  EXPECT_EQ(place(progress), (Position{4, 0}));
  EXPECT_EQ(validations, (std::set<int64_t>{60, 73, 86}));
}

TEST(Course, StepsLeftAreThoseThatFollowWhateverTheBatches) {
  const RunConfig config = config_of(3);
  for (const int64_t images : {60, 97, 320}) {
    for (int64_t before : {1, 3, 8, 20, 56}) {
      for (int64_t after : {1, 4, 13, 56}) {
        for (int64_t taken = 0; taken < 3 * images / before; taken += 7) {
          Progress progress;
          walk(Course(config, images, before, true), progress, taken, never);
          const Course course(config, images, after, true);
          course.adopt(progress);
          const int64_t total = course.total_steps(progress);
          walk(course, progress, kMany, never);
          ASSERT_EQ(progress.step, total) << images << " " << before << " " << after;
          ASSERT_EQ(place(progress), (Position{3, 0}));
        }
      }
    }
  }
}

// 100 images: after 98 steps of one image no batch of 56 is left of the epoch.
// What changes it within an epoch counts from the next one on.
TEST(Course, AnEpochKeepsItsOrder) {
  RunConfig config = config_of(3), other = config;
  other.run.seed = 5;
  other.data.shuffle = Shuffle::kBlock;
  other.data.repeats = 2;
  const Course first(config, 40, 8, true), then(other, 40, 4, true);
  Progress progress;
  first.adopt(progress);
  EXPECT_EQ(progress.position.order, sample_order(config));
  walk(first, progress, 7, never);
  then.adopt(progress);
  EXPECT_EQ(place(progress), (Position{1, 16}));
  EXPECT_EQ(progress.position.order, sample_order(config));
  walk(then, progress, 5, never);
  EXPECT_EQ(place(progress), (Position{1, 36}));
  EXPECT_EQ(progress.position.order, sample_order(config));
  walk(then, progress, 1, never);
  EXPECT_EQ(place(progress), (Position{2, 0}));
  EXPECT_EQ(progress.position.order, sample_order(other));
}

// An epoch's begin, and a place whose order was not written down, have this start's.
TEST(Course, APlaceWithoutImagesTakesTheNewOrder) {
  RunConfig config = config_of(3);
  config.run.seed = 5;
  for (const Position& before : {Position{1, 0, SampleOrder{4}}, Position{1, 16}}) {
    Progress progress;
    progress.position = before;
    Course(config, 40, 8, true).adopt(progress);
    EXPECT_EQ(progress.position.order, sample_order(config));
  }
}

TEST(Course, AnEpochWithoutAFullBatchHasEnded) {
  const RunConfig config = config_of(12);
  Progress progress;
  walk(Course(config, 100, 1, true), progress, 98, never);
  const Course course(config, 100, 56, true);
  EXPECT_TRUE(course.adopt(progress));
  EXPECT_EQ(place(progress), (Position{1, 0}));
  EXPECT_EQ(progress.step, 98);
  EXPECT_EQ(course.epoch_of_last(progress), 0);
  EXPECT_TRUE(course.validation_due(progress));
  EXPECT_FALSE(course.adopt(progress));
  const auto validations =
      walk(course, progress, kMany, [&](const Progress& p) { return course.validation_due(p); });
  EXPECT_EQ(validations.size(), 11u);  // one image a step before, one step an epoch from there
}

// Half the images are left: the place lies behind their end.
TEST(Course, APlaceBehindTheEndOfSmallerDataIsTheNextEpoch) {
  const RunConfig config = config_of(3);
  Progress progress;
  progress.step = 8;
  progress.position = {0, 80};
  const Course course(config, 48, 10, true);
  EXPECT_TRUE(course.adopt(progress));
  EXPECT_EQ(place(progress), (Position{1, 0}));
  EXPECT_EQ(course.steps_left(progress), 8);
}

TEST(Course, RunStepsCutsARunShortButNeverLengthensIt) {
  Progress progress;
  EXPECT_EQ(Course(config_of(2, 5), 80, 8, true).total_steps(progress), 5);
  EXPECT_EQ(Course(config_of(2, 500), 80, 8, true).total_steps(progress), 20);
  const RunConfig config = config_of(2, 5);
  const Course course(config, 80, 8, true);
  const auto validations =
      walk(course, progress, kMany, [&](const Progress& p) { return course.validation_due(p); });
  EXPECT_EQ(progress.step, 5);
  EXPECT_EQ(validations, (std::set<int64_t>{5}));  // the end of what was asked for
  progress.step = 7;                               // more were taken already
  EXPECT_EQ(course.steps_left(progress), 0);
  EXPECT_TRUE(course.finished(progress));
}

// At multiples of the epochs of the run, however it came there, and at its end.
TEST(Course, ValidatesEverySoManyEpochs) {
  RunConfig config = config_of(8);
  config.run.validate_every_epochs = 3;
  const Course course(config, 80, 8, true), larger(config, 80, 16, true);
  const auto due = [&](const Progress& p) { return course.validation_due(p); };
  Progress progress;
  EXPECT_EQ(walk(course, progress, kMany, due), (std::set<int64_t>{30, 60, 80}));
  Progress changed;
  walk(course, changed, 16, never);
  larger.adopt(changed);
  EXPECT_EQ(walk(larger, changed, kMany, due), (std::set<int64_t>{23, 38, 48}));
}

TEST(Course, ValidatesOnlyWhereThereIsASplit) {
  const RunConfig config = config_of(2);
  const Course course(config, 80, 8, false);
  Progress progress;
  EXPECT_TRUE(walk(course, progress, kMany, [&](const Progress& p) {
                return course.validation_due(p);
              }).empty());
}

TEST(Course, LogsEverySoManyStepsAndAtTheEnd) {
  RunConfig config = config_of(2);
  config.log.every_steps = 6;
  const Course course(config, 80, 8, true);
  Progress progress;
  EXPECT_EQ(walk(course, progress, kMany, [&](const Progress& p) { return course.log_due(p); }),
            (std::set<int64_t>{6, 12, 18, 20}));
}

std::set<int64_t> saves(double every_epochs, int64_t every_steps, int64_t images, int64_t batch) {
  RunConfig config = config_of(3);
  config.checkpoint.every_epochs = every_epochs;
  config.checkpoint.every_steps = every_steps;
  const Course course(config, images, batch, true);
  Progress progress;
  return walk(course, progress, kMany, [&](const Progress& p) { return course.save_due(p); });
}

TEST(Course, SavesByStepsAndByPartsOfEpochs) {
  EXPECT_EQ(saves(1, 0, 80, 8), (std::set<int64_t>{10, 20, 30}));
  EXPECT_EQ(saves(1, 0, 87, 8), (std::set<int64_t>{10, 20, 30}));  // 7 images are left each time
  EXPECT_EQ(saves(0.5, 0, 80, 8), (std::set<int64_t>{5, 10, 15, 20, 25, 30}));
  EXPECT_EQ(saves(1.5, 0, 80, 8), (std::set<int64_t>{15, 30}));
  EXPECT_EQ(saves(2, 0, 80, 8), (std::set<int64_t>{20}));
  EXPECT_EQ(saves(0, 7, 80, 8), (std::set<int64_t>{7, 14, 21, 28}));
  EXPECT_EQ(saves(1, 15, 80, 8), (std::set<int64_t>{10, 15, 20, 30}));
  EXPECT_EQ(saves(0, 0, 80, 8), (std::set<int64_t>{}));
}

// However the run came to an epoch's end, a save by epochs is due there, and once only.
TEST(Course, SavesByEpochsFollowTheImagesThroughChangedBatches) {
  RunConfig config = config_of(4);
  for (const double every : {1.0, 0.5}) {
    config.checkpoint.every_epochs = every;
    for (int64_t taken = 1; taken < 80; ++taken) {
      Progress progress;
      walk(Course(config, 320, 8, true), progress, taken, never);
      const int64_t left = 4 - progress.position.epoch;
      const Course course(config, 320, 24, true);
      course.adopt(progress);
      std::set<int64_t> ends;
      const auto due = walk(course, progress, kMany, [&](const Progress& p) {
        if (course.epoch_ended(p)) ends.insert(p.step);
        return course.save_due(p);
      });
      for (const int64_t end : ends) ASSERT_TRUE(every < 1 || due.contains(end)) << taken;
      if (every == 1) {
        ASSERT_EQ(due.size(), ends.size()) << taken;
      }
      ASSERT_LE(static_cast<double>(due.size()), static_cast<double>(left) / every);
    }
  }
}

}  // namespace
}  // namespace resnext
