// The worker as a user starts it, on data and a network so small that a run takes a second.
//
// 96 training and 37 validation images of 16 x 16 in 4 classes; a global batch of 12 makes 8 steps
// an epoch, 16 in all, and divides by 1, 2, 3 and 4 ranks. Local; each test has its own Workspace.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace resnext::test {

constexpr int kStepsPerEpoch = 8;
constexpr int kSteps = 16;
// Seconds of one run, or of its end, on a busy machine. No test is decided by how long things take.
constexpr double kRunTimeout = 60;

Words operator+(Words words, const Words& more);

// `ranks` 0: the program itself; else under mpirun.
Words worker_command(int ranks, const Words& arguments);

// A folder with train.h5, validation.h5 and tiny.yaml.
class Workspace {
 public:
  Workspace();

  std::string operator/(const std::string& name) const { return folder_ / name; }
  std::string config() const { return folder_ / "tiny.yaml"; }

  // Trains into the folder `output` of this workspace.
  Words train_command(int ranks, const std::string& output, const Words& more = {}) const;
  Result train(int ranks, const std::string& output, const Words& more = {}) const;

 private:
  TemporaryFolder folder_;
};

// Lines of metrics.jsonl that must not depend on interruptions: train lines without their times,
// validation lines of whole epochs (a run whose run.steps end within an epoch validates there too).
std::vector<std::string> reproducible_lines(const std::filesystem::path& run);

// Step of the last train line so far.
int logged_steps(const std::filesystem::path& run);

// The newest checkpoint folder of a run; empty when there is none.
std::filesystem::path newest_checkpoint(const std::filesystem::path& run);

// Both runs have logged the same and ended with the same bytes of weights and momentum.
testing::AssertionResult same_run(const std::filesystem::path& a, const std::filesystem::path& b);

// The process of a rank that mpirun has started; 0 when there is none.
pid_t process_of_rank(const Process& mpirun, int rank);

// Lines that the log wrote at level "error", of all ranks.
std::vector<std::string> error_lines(const std::string& err);

}  // namespace resnext::test
