// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/restart_policy.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <initializer_list>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr double kEarlyEnd_s = 10;  // a run that ends sooner may be hurt by its surroundings

bool is_our_code(int code) {
  constexpr ExitCode kAll[] = {ExitCode::kOk,       ExitCode::kConfig,  ExitCode::kData,
                               ExitCode::kInternal, ExitCode::kOutput,  ExitCode::kStopped,
                               ExitCode::kPeerLost, ExitCode::kDiverged};
  return std::ranges::any_of(kAll, [code](ExitCode c) { return static_cast<int>(c) == code; });
}

bool restart_helps(int code) {
  return code == static_cast<int>(ExitCode::kStopped) ||
         code == static_cast<int>(ExitCode::kPeerLost);
}

}  // namespace

bool requeue_helps(const Attempt& attempt, int earlier) {
  if (attempt.stop_signal == SIGTERM || attempt.stop_signal == SIGINT) return false;
  const bool gained = attempt.step_after > attempt.step_before;
  return restart_helps(to_exit_code(attempt.exit_code)) && (gained || earlier == 0);
}

int to_exit_code(int starter_code) {
  if (is_our_code(starter_code)) return starter_code;
  constexpr int kOrteLostDaemon = 205;  // Open MPI 4.1: "ORTE has lost communication"
  if (starter_code > 128) {
    const int signal = starter_code - 128;
    const bool ours = signal == SIGINT;  // somebody's second Ctrl-C
    const bool lost = signal <= SIGSYS || starter_code == kOrteLostDaemon;
    if (lost && !ours) return static_cast<int>(ExitCode::kPeerLost);
  }
  return static_cast<int>(ExitCode::kInternal);
}

double RestartPolicy::next_delay(const Attempt& attempt) {
  early_ends_ = attempt.seconds < kEarlyEnd_s ? early_ends_ + 1 : 0;
  const double delay = options_.backoff_s * std::pow(2.0, std::max(0, early_ends_ - 1));
  return std::min(delay, options_.max_backoff_s);
}

Decision RestartPolicy::decide(const Attempt& attempt) {
  const int code = to_exit_code(attempt.exit_code);
  if (code == 0) return stop(code, "finished");
  if (attempt.stop_signal != 0) return stop(code, "stopped on request");
  if (!restart_helps(code))
    return stop(code, fmt::format("exit code {}: a restart does not help", code));
  if (restarts_ > 0 && attempt.step_after <= attempt.step_before) {
    return stop(code, fmt::format("no step was gained since the last restart (checkpoint {})",
                                  attempt.step_after));
  }
  if (restarts_ >= options_.max_restarts) {
    return stop(code, options_.max_restarts == 0
                          ? "restarts are off (--max-restarts)"
                          : fmt::format("all {} restarts are used up", options_.max_restarts));
  }
  ++restarts_;
  return {true, next_delay(attempt), code,
          fmt::format("exit code {}: restart {} of {} from checkpoint {}", code, restarts_,
                      options_.max_restarts, attempt.step_after)};
}

}  // namespace resnext
