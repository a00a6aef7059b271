// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/restart_policy.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "comm/common/error.h"
#include "comm/common/exit_meaning.h"

namespace resnext {
namespace {

constexpr double kEarlyEnd_s = 10;  // a run that ends sooner may be hurt by its surroundings
constexpr int kStopped = static_cast<int>(ExitCode::kStopped);
constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);

bool is_our_code(int code) {
  constexpr ExitCode kAll[] = {ExitCode::kOk,       ExitCode::kConfig,  ExitCode::kData,
                               ExitCode::kInternal, ExitCode::kOutput,  ExitCode::kStopped,
                               ExitCode::kPeerLost, ExitCode::kDiverged};
  return std::ranges::any_of(kAll, [code](ExitCode c) { return static_cast<int>(c) == code; });
}

// mpirun and srun leave with 128 + signal, but for an interrupt that somebody meant.
bool is_lost_rank(int code) {
  return code > 128 && code <= 128 + SIGSYS && code != 128 + SIGINT;
}

bool restart_helps(int code) {
  return code == kStopped || code == kPeerLost;
}

std::string how_it_ended(const Attempt& attempt, int code) {
  const std::string what = code == kCutShort ? "ended at once" : meaning_of(code);
  const std::string where =
      attempt.step < 0 ? "before the first checkpoint" : fmt::format("at step {}", attempt.step);
  const std::string from = attempt.exit_code == code
                               ? ""
                               : fmt::format(", from {} of mpirun or srun", attempt.exit_code);
  return fmt::format("{} {} (exit code {}{}): ", what, where, code, from);
}

}  // namespace

int to_exit_code(int starter_code) {
  constexpr int kStartFailed = 1;       // of mpirun and srun; no program of ours leaves with it
  constexpr int kOrteLostDaemon = 205;  // Open MPI 4.1: "ORTE has lost communication"
  if (is_our_code(starter_code)) return starter_code;
  const bool lost =
      is_lost_rank(starter_code) || starter_code == kStartFailed || starter_code == kOrteLostDaemon;
  return lost ? kPeerLost : static_cast<int>(ExitCode::kInternal);
}

int to_exit_code(const Attempt& attempt) {
  if (attempt.cut_short && attempt.exit_code != 0) return kCutShort;
  const int code = to_exit_code(attempt.exit_code);
  const bool by_request = code == kPeerLost || !is_our_code(attempt.exit_code);
  return attempt.stop_signal != 0 && by_request ? kStopped : code;
}

bool requeue_helps(const Attempt& attempt, int earlier) {
  const int code = to_exit_code(attempt);
  if (!restart_helps(code)) return false;
  return attempt.stop_signal != 0 || attempt.gained() || earlier < kFruitlessStarts;
}

double RestartPolicy::next_delay(const Attempt& attempt) {
  early_ends_ = attempt.seconds < kEarlyEnd_s ? early_ends_ + 1 : 0;
  if (early_ends_ == 0) return 0;
  const double delay = options_.backoff_s * std::pow(2.0, early_ends_ - 1);
  return std::min(delay, options_.max_backoff_s);
}

std::string RestartPolicy::reason_to_stop(const Attempt& attempt, int code) const {
  if (code == 0) return "finished";
  if (attempt.stop_signal != 0) return "stopped on request";
  if (!restart_helps(code)) return "a restart does not help";
  if (options_.only_failed_starts && attempt.gained()) return "a checkpoint was gained";
  if (fruitless_ >= kFruitlessStarts) {
    return fmt::format("{} starts in a row gained no checkpoint", fruitless_);
  }
  if (options_.max_restarts == 0) return "restarts are off (--max-restarts)";
  if (restarts_ < options_.max_restarts) return "";
  return fmt::format("all {} restarts are used up", options_.max_restarts);
}

Decision RestartPolicy::decide(const Attempt& attempt) {
  const int code = to_exit_code(attempt);
  fruitless_ = attempt.gained() ? 0 : fruitless_ + 1;
  const std::string how = how_it_ended(attempt, code);
  if (const std::string reason = reason_to_stop(attempt, code); !reason.empty()) {
    return {false, 0, code, how + reason};
  }
  ++restarts_;
  return {true, next_delay(attempt), code,
          how + fmt::format("restart {} of {}", restarts_, options_.max_restarts)};
}

}  // namespace resnext
