// A run that dies, finds no space or meets an I/O error at any one of its file calls: the newest
// whole save always loads, and the run goes on.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "comm/common/error.h"
#include "tests/support/faulty_files.h"
#include "tests/worker/state/support.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

// What the run knew to be done when it ended.
struct Done {
  int64_t saved = 0;  // step
  double best = -1;
  int64_t gone_back = 0;  // step saved in another line
};

constexpr int64_t kKeep = 2;

double top1_of(int64_t step) {
  return step == 22 ? 90.0 : 10.0 + static_cast<double>(step);
}

// Steps 21 to 24 after a save of step 20, on `files`.
void go_on(const fs::path& run, FileSystem& files, Done& done) {
  Start start(run, kKeep, "auto", false, files);
  for (int64_t step = 21; step <= 24; ++step) {
    start.save(step);
    done.saved = step;
    start.store.validated({1, top1_of(step), 100, 20});
    done.best = std::max(done.best, top1_of(step));
  }
}

// Back from step 24 to 22, and two steps of another line.
void go_back(const fs::path& run, FileSystem& files, Done& done) {
  Start start(run, kKeep, run / "checkpoints/step-00000022", false, files);
  for (int64_t step = 23; step <= 24; ++step) {
    start.save(step, " of another line");
    done.gone_back = step;
  }
}

class SaveFaults : public testing::TestWithParam<Fault> {
 protected:
  // `work` in a folder made by `prepare`, with the fault at call `at`.
  template <class Prepare, class Work>
  int64_t try_every_call(Prepare prepare, Work work,
                         const std::function<void(const Done&)>& check) {
    int64_t points = 0;
    for (int64_t at = 0;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      fs::remove_all(run_);
      Done done = prepare();
      FaultyFiles files(GetParam(), at);
      try {
        work(run_, files, done);
      } catch (const Death&) {
      } catch (const OutputError&) {
      } catch (const CheckpointError&) {  // the save could not be read
      } catch (const FileError& error) {
        ADD_FAILURE() << "no typed error: " << error.what();
      }
      if (files.calls() <= at) break;
      ++points;
      check(done);
      if (testing::Test::HasFailure()) break;
    }
    RecordProperty("points", std::to_string(points));
    return points;
  }

  Done one_save() {
    Start start(run_, kKeep);
    start.validate(20, 15);
    return {20, 15};
  }

  TemporaryFolder root_;
  fs::path run_ = root_.path() / "run";
};

std::string name_of(const testing::TestParamInfo<Fault>& info) {
  static const char* const kNames[] = {"DeathBefore", "DeathWithin", "NoSpace", "IoError"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Faults, SaveFaults,
                         testing::Values(Fault::kDeathBefore, Fault::kDeathWithin, Fault::kNoSpace,
                                         Fault::kIoError),
                         name_of);

TEST_P(SaveFaults, TheNewestWholeSaveLoadsAndTheBestIsKept) {
  const int64_t points = try_every_call(
      [this] { return one_save(); }, go_on,
      [this](const Done& done) {
        Start again(run_, kKeep);
        ASSERT_TRUE(again.from);
        ASSERT_GE(again.step(), done.saved);  // a whole one may not have been reported yet
        ASSERT_LE(again.step(), std::max<int64_t>(done.saved + 1, 21));
        ASSERT_EQ(again.from->files.at("model.pt"),
                  "weights of step " + std::to_string(again.step()));
        ASSERT_GE(again.store.best_top1(), done.best);
        ASSERT_EQ(again.from->manifest.serial, again.store.serial());
        for (const std::string& name : names_in(run_ / "checkpoints")) {
          ASSERT_EQ(name.find("partial"), std::string::npos) << name;
        }
        const int64_t next = again.step() + 1;
        again.save(next);
        ASSERT_EQ(Start(run_, kKeep).step(), next);
      });
  EXPECT_GE(points, 75);
}

// Either it has not gone back yet, and nothing is lost; or it has, and never sees what it left.
TEST_P(SaveFaults, GoingBackIsDoneOrNot) {
  const int64_t points = try_every_call(
      [this] {
        Done done = one_save();
        go_on(run_, unsynced_files(), done);
        return done;
      },
      go_back,
      [this](const Done& done) {
        Start again(run_, kKeep);
        ASSERT_TRUE(again.from);
        const bool left = again.from->manifest.lineage.line() != 0;
        const std::string& weights = again.from->files.at("model.pt");
        if (left) {
          ASSERT_EQ(weights, fmt::format("weights of step {} of another line", again.step()));
        } else {
          ASSERT_EQ(weights, fmt::format("weights of step {}", again.step()));
          ASSERT_TRUE(again.step() == 24 || again.step() == 22) << again.step();
        }
        ASSERT_GE(left ? again.step() : 0, done.gone_back);
        ASSERT_EQ(again.store.best_top1(), 90);
      });
  EXPECT_GE(points, 50);
}

// The first save of a run has nothing before it: a start finds it or begins anew.
TEST_P(SaveFaults, TheFirstSaveIsThereOrNot) {
  try_every_call([] { return Done(); },
                 [](const fs::path& run, FileSystem& files, Done& done) {
                   Start start(run, kKeep, "auto", false, files);
                   start.save(1);
                   done.saved = 1;
                 },
                 [this](const Done& done) {
                   Start again(run_, kKeep);
                   ASSERT_GE(again.step(), done.saved);
                   again.save(again.step() + 1);
                   ASSERT_EQ(Start(run_, kKeep).step(), again.step() + 1);
                 });
}

}  // namespace
}  // namespace resnext::test
