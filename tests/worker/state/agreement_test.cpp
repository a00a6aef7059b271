// One rank decides, all agree: on 1, 2 and 3 ranks.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/agreement.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "comm/mpi_communicator.h"
#include "tests/support/mpi_environment.h"
#include "tests/worker/state/support.h"
#include "worker/state/replicas.h"
#include "worker/state/start_point.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

int rank() {
  return environment().rank();
}

bool last() {
  return rank() == environment().size() - 1;
}

// The error that f throws on this rank; fails without one.
template <class F>
Error error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error on rank " << rank();
  return Error(ExitCode::kOk, "", "", "");
}

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks " << part;
}

class Agreement : public testing::Test {
 protected:
  MpiCommunicator communicator_{60};
};

TEST_F(Agreement, BroadcastsAnyText) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string(100'000, 'x') + '\0' + "\xff"}) {
    for (int root = 0; root < environment().size(); ++root) {
      EXPECT_EQ(broadcast_text(communicator_, rank() == root ? text : "mine", root), text);
    }
  }
}

TEST_F(Agreement, RankZeroAloneDecides) {
  int asked = 0;
  const std::string text = decide(communicator_, [&] {
    ++asked;
    return "of rank " + std::to_string(rank());
  });
  EXPECT_EQ(text, "of rank 0");
  EXPECT_EQ(asked, rank() == 0 ? 1 : 0);
  EXPECT_EQ(decide(communicator_, [] { return std::string(); }), "");
}

// Its code and line, word for word; and the ranks go on together.
TEST_F(Agreement, ErrorsOfRankZeroAreEverybodys) {
  const Error data = error_of([&] {
    decide(communicator_, []() -> std::string { throw DataError("/f", "is cut", "pack again"); });
  });
  EXPECT_EQ(data.exit_code(), ExitCode::kData);
  EXPECT_STREQ(data.what(), "/f: is cut; pack again");
  const Error other = error_of([&] {
    decide(communicator_, []() -> std::string { throw std::runtime_error("surprise"); });
  });
  EXPECT_EQ(other.exit_code(), ExitCode::kInternal);
  EXPECT_STREQ(other.what(), "surprise");
  EXPECT_EQ(decide(communicator_, [] { return std::string("on"); }), "on");
}

std::vector<Claim> claims(const std::string& program, const std::string& config,
                          const std::string& data) {
  return {{"program", program, ExitCode::kConfig, "install one version"},
          {"configuration", config, ExitCode::kConfig, "give all the same file"},
          {"data", data, ExitCode::kData, "give all the same data"}};
}

TEST_F(Agreement, IsSilentWhereAllSayTheSame) {
  EXPECT_NO_THROW(check_agreement(communicator_, claims("1", "a: 1\nb: 2\n", "d")));
  EXPECT_NO_THROW(check_agreement(communicator_, {}));
}

TEST_F(Agreement, NamesTheRankAndBothLines) {
  if (environment().size() == 1) GTEST_SKIP() << "nobody differs from a single rank";
  const std::string other = "run:\n  epochs: 3\n  seed: 1\n",
                    mine = "run:\n  epochs: 2\n  seed: 1\n";
  const Error error =
      error_of([&] { check_agreement(communicator_, claims("1", last() ? other : mine, "d")); });
  EXPECT_EQ(error.exit_code(), ExitCode::kConfig);
  expect_has(error.what(),
             "configuration: it is not the same on all ranks: 'epochs: 2' on rank 0, "
             "'epochs: 3' on rank " +
                 std::to_string(environment().size() - 1) + " (");
  expect_has(error.what(), "; give all the same file");
}

TEST_F(Agreement, EachClaimHasItsCodeAndTheFirstIsTold) {
  if (environment().size() == 1) GTEST_SKIP() << "nobody differs from a single rank";
  const Error data =
      error_of([&] { check_agreement(communicator_, claims("1", "c", rank() == 1 ? "e" : "d")); });
  EXPECT_EQ(data.exit_code(), ExitCode::kData);
  expect_has(data.what(), "'d' on rank 0, 'e' on rank 1");
  const Error program = error_of([&] {
    check_agreement(communicator_, rank() == 1 ? claims("2", "x", "e") : claims("1", "c", "d"));
  });
  expect_has(program.what(), "program: ");
  EXPECT_EQ(program.exit_code(), ExitCode::kConfig);
}

TEST_F(Agreement, TheOddOneIsNamedThoughItIsRankZero) {
  if (environment().size() < 3) GTEST_SKIP() << "of two nobody is the odd one";
  const Error error =
      error_of([&] { check_agreement(communicator_, claims("1", rank() == 0 ? "x" : "c", "d")); });
  expect_has(error.what(), "'c' on rank 1, 'x' on rank 0 (");
}

TEST_F(Agreement, ATextThatOnlyGoesOnIsADifference) {
  if (environment().size() == 1) GTEST_SKIP() << "nobody differs from a single rank";
  const Error error = error_of(
      [&] { check_agreement(communicator_, claims("1", last() ? "a\nb\n" : "a\n", "d")); });
  expect_has(error.what(), "'nothing' on rank 0, 'b' on rank");
}

// ---- replicas -------------------------------------------------------------------------------

TEST_F(Agreement, EqualReplicasAreNoEvent) {
  for (int64_t step = 0; step < 1000; ++step) {
    ASSERT_NO_THROW(
        watch_replicas(communicator_, ReplicaReport{static_cast<uint64_t>(step)}, step, 1, false));
  }
}

TEST_F(Agreement, ADamagedReplicaIsNamedOnAllRanks) {
  const int world = environment().size();
  if (world == 1) GTEST_SKIP() << "there is nothing to compare with";
  for (int bad = 0; bad < world; ++bad) {
    const Error error = error_of([&] {
      watch_replicas(communicator_, ReplicaReport{rank() == bad ? 8u : 7u}, 120, 1, false);
    });
    EXPECT_EQ(error.exit_code(), ExitCode::kPeerLost);
    expect_has(error.what(), "step 120: ");
    expect_has(error.what(),
               world == 2 ? std::string("ranks 0, 1 have") : fmt::format("rank {} has", bad));
  }
}

// ---- where a run goes on --------------------------------------------------------------------

class StartPointTest : public Agreement {
 protected:
  StartPointTest() {
    if (rank() == 0) store_.emplace(posix_files(), root_.path(), 3);
  }
  RunStore* store() { return store_ ? &*store_ : nullptr; }
  // A save with its validation, if any; by rank 0.
  void save(int64_t step, std::optional<Accuracy> accuracy = {}) {
    if (rank() > 0) return;
    Start start(root_.path(), 3);
    start.save(step);
    if (accuracy) start.store.validated(*accuracy);
  }
  StartPoint start(const DataRecord& data, bool accept = false) {
    RunOptions run;
    run.accept_new_data = accept;
    return agree_on_start(communicator_, store(), nullptr, run, data, false);
  }

  TemporaryFolder root_;  // each rank its own: only rank 0's counts
  std::optional<RunStore> store_;
};

TEST_F(StartPointTest, ANewRunBeginsAtTheBegin) {
  const StartPoint point = start(small_data());
  EXPECT_FALSE(point.resumed);
  EXPECT_FALSE(point.state);
  EXPECT_FALSE(point.data);
  EXPECT_EQ(point.progress.step, 0);
}

TEST_F(StartPointTest, RankZeroReadsForAll) {
  save(37, Accuracy{0.5, 70, 90, 20});
  const StartPoint point = start(small_data());
  EXPECT_TRUE(point.resumed);
  EXPECT_EQ(point.progress.step, 37);
  EXPECT_EQ(point.progress.position, (Position{3, 56}));
  EXPECT_TRUE(point.progress.validated);
  EXPECT_EQ(point.data->class_names, small_data().class_names);
  EXPECT_EQ(point.state.has_value(), rank() == 0);
}

TEST_F(StartPointTest, SaysWhetherThePlaceWasValidated) {
  save(37);
  EXPECT_FALSE(start(small_data()).progress.validated);
}

TEST_F(StartPointTest, ChangedDataAreRefusedUnlessAccepted) {
  save(37);
  DataRecord half = small_data();
  half.train.count = 40;
  const Error error = error_of([&] { start(half); });
  EXPECT_EQ(error.exit_code(), ExitCode::kData);
  expect_has(error.what(), "80 training images, then 40");
  expect_has(error.what(), "run.accept_new_data=true");
  EXPECT_EQ(start(half, /*accept=*/true).progress.step, 37);
  RunOptions run;
  EXPECT_EQ(agree_on_weights(communicator_, store(), run).progress.step, 37);
}

TEST_F(StartPointTest, WhatRankZeroCannotReadStopsAll) {
  save(37);
  if (rank() == 0) {
    fs::resize_file(root_.path() / "checkpoints/step-00000037/model.pt", 1);
  }
  const Error error = error_of([&] { start(small_data()); });
  EXPECT_EQ(error.exit_code(), ExitCode::kConfig);
  expect_has(error.what(), "all of them are damaged");
}

}  // namespace
}  // namespace resnext::test
