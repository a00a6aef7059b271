// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/supervisor.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>

#include "launcher/child_process.h"
#include "launcher/run_folder.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Supervisor {
 public:
  Supervisor(const LaunchPlan& plan, const std::filesystem::path& run_folder)
      : plan_(plan), run_folder_(run_folder) {}

  Attempt attempt();
  // False when a stop request came meanwhile.
  bool pause(double seconds);

 private:
  void hand_on(int signal, const ChildProcess& child);

  const LaunchPlan& plan_;
  const std::filesystem::path& run_folder_;
  SignalInbox inbox_;
  int stop_requests_ = 0;
  int stop_signal_ = 0;  // the first
};

void Supervisor::hand_on(int signal, const ChildProcess& child) {
  if (++stop_requests_ == 1) stop_signal_ = signal;
  if (signal == SIGINT && stop_requests_ > 1) {
    spdlog::warn("asked to stop again: ending the ranks without saving");
    child.signal(SIGTERM);
    return;
  }
  spdlog::info("asked to stop: the ranks save a checkpoint and leave");
  child.signal(SIGUSR1);
}

Attempt Supervisor::attempt() {
  Attempt result;
  result.step_before = checkpoint_step(run_folder_);
  const auto start = Clock::now();
  ChildProcess child({plan_.argv, plan_.environment, "", {}});
  std::optional<int> code;
  while (!(code = child.poll())) {
    const int signal = inbox_.wait(1.0);
    if (signal != 0 && signal != SIGCHLD) hand_on(signal, child);
  }
  result.exit_code = *code;
  result.stop_signal = stop_signal_;
  result.step_after = checkpoint_step(run_folder_);
  result.seconds = since(start);
  return result;
}

bool Supervisor::pause(double seconds) {
  const auto start = Clock::now();
  for (double left = seconds; left > 0; left = seconds - since(start)) {
    const int signal = inbox_.wait(left);
    if (signal != 0 && signal != SIGCHLD) return false;
  }
  return true;
}

}  // namespace

Outcome supervise(const LaunchPlan& plan, const std::filesystem::path& run_folder,
                  const RestartOptions& options) {
  Supervisor supervisor(plan, run_folder);
  RestartPolicy policy(options);
  const int64_t first_step = checkpoint_step(run_folder);
  while (true) {
    Attempt attempt = supervisor.attempt();
    const Decision decision = policy.decide(attempt);
    attempt.step_before = first_step;
    const Outcome outcome{decision.exit_code, attempt};
    if (!decision.restart) {
      if (decision.exit_code != 0) spdlog::warn("ended: {}", decision.because);
      return outcome;
    }
    spdlog::warn("{}, in {:.0f} s", decision.because, decision.delay_s);
    if (!supervisor.pause(decision.delay_s)) return outcome;
  }
}

}  // namespace resnext
