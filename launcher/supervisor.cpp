// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/supervisor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "comm/common/error.h"
#include "comm/common/launched.h"
#include "launcher/child_process.h"
#include "launcher/rank_logs.h"
#include "launcher/reaper.h"
#include "launcher/run_folder.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStopped = static_cast<int>(ExitCode::kStopped);
constexpr double kTick_s = 1;
constexpr double kImpatientTick_s = 0.05;  // while a stop request waits for a program that minds it
constexpr double kEndAtOnce_s = 5;         // for a starter to end its ranks, also on other hosts

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Hands a stop request on to one program, as often as it takes.
class StopMessenger {
 public:
  explicit StopMessenger(const ChildProcess& child) : child_(child) {}

  // Call at each tick after a request. Returns how long to wait for the next one, in seconds.
  double hand_on();
  // Ends the ranks without saving.
  double end_at_once();

 private:
  const ChildProcess& child_;
  bool told_ = false;
  Clock::time_point last_{};
  bool ending_ = false;
  Clock::time_point ending_since_{};
};

double StopMessenger::hand_on() {
  if (!told_) spdlog::info("asked to stop: the ranks save a checkpoint and leave");
  told_ = true;
  if (since(last_) < kTick_s) return kImpatientTick_s;
  if (!child_.minds(SIGUSR1)) return kImpatientTick_s;
  child_.signal(SIGUSR1);
  last_ = Clock::now();
  return kTick_s;
}

// mpirun ends its ranks upon the first SIGINT, srun upon several in a row.
double StopMessenger::end_at_once() {
  if (!std::exchange(ending_, true)) {
    spdlog::warn("asked to stop again: ending the ranks without saving");
    ending_since_ = Clock::now();
  }
  child_.signal(since(ending_since_) < kEndAtOnce_s ? SIGINT : SIGKILL);
  return kImpatientTick_s;
}

class Supervisor {
 public:
  Supervisor(const LaunchPlan& plan, const std::filesystem::path& run_folder, SignalInbox& inbox,
             FolderLock& lock)
      : plan_(plan),
        run_folder_(run_folder),
        inbox_(inbox),
        lock_(lock),
        rank_logs_(plan.only_rank_logs ? plan.rank_logs : "") {}
  ~Supervisor() { reaper_.end_strays(); }
  Supervisor(const Supervisor&) = delete;

  Attempt attempt();
  // Returns early when a stop request comes.
  void pause(double seconds);

 private:
  int run_child();
  void check_lock();
  void tell(const std::string& text) const;
  void explain() const;

  const LaunchPlan& plan_;
  const std::filesystem::path& run_folder_;
  SignalInbox& inbox_;
  FolderLock& lock_;
  RankLogs rank_logs_;
  const Reaper reaper_;
  int children_ = 0;  // started so far
};

void Supervisor::tell(const std::string& text) const {
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Supervisor::explain() const {
  for (const std::string& error : rank_logs_.errors()) spdlog::warn("{}", error);
  if (!plan_.rank_logs.empty()) spdlog::warn("all that the ranks said is in {}", plan_.rank_logs);
}

void Supervisor::check_lock() {
  if (lock_.heartbeat()) return;
  throw ConfigError(run_folder_.string(),
                    "another process has taken this folder over while this one stood still",
                    "see whose it is in " + std::string(kLauncherLock));
}

// Slurm sends SIGTERM to all processes of a job at its time limit; mpirun would answer by killing
// its ranks within a second, in the middle of a save. Ranks get theirs unblocked (Open MPI's odls).
int Supervisor::run_child() {
  auto environment = plan_.environment;
  if (children_++ > 0) environment.emplace_back(kRestartVariable, "1");
  ChildProcess child({.argv = plan_.argv,
                      .environment = environment,
                      .deaf_to_sigterm = plan_.under_mpirun,
                      .signal_when_we_die = plan_.under_mpirun ? SIGINT : SIGTERM});
  StopMessenger messenger(child);
  while (true) {
    if (const auto code = child.poll()) return *code;
    tell(rank_logs_.news_of_rank_0());
    check_lock();
    double tick = kTick_s;
    if (inbox_.must_end_at_once()) {
      tick = messenger.end_at_once();
    } else if (inbox_.stop_signal() != 0) {
      tick = messenger.hand_on();
    }
    inbox_.wait(tick);
  }
}

Attempt Supervisor::attempt() {
  Attempt result;
  result.serial_before = newest_checkpoint(run_folder_).serial;
  const auto start = Clock::now();
  if (inbox_.stop_signal() == 0) {
    rank_logs_ = RankLogs(plan_.only_rank_logs ? plan_.rank_logs : "");
    result.exit_code = run_child();
    reaper_.end_strays();
    tell(rank_logs_.news_of_rank_0(/*last=*/true));
    if (result.exit_code != 0) explain();
  } else {
    result.exit_code = kStopped;
  }
  result.stop_signal = inbox_.stop_signal();
  result.cut_short = inbox_.must_end_at_once();
  const CheckpointMark newest = newest_checkpoint(run_folder_);
  result.serial_after = newest.serial;
  result.step = newest.step;
  result.seconds = since(start);
  return result;
}

void Supervisor::pause(double seconds) {
  const auto start = Clock::now();
  for (double left = seconds; left > 0 && inbox_.stop_signal() == 0;
       left = seconds - since(start)) {
    check_lock();
    inbox_.wait(std::min(left, kTick_s));
  }
}

}  // namespace

Outcome supervise(const LaunchPlan& plan, const std::filesystem::path& run_folder,
                  const RestartOptions& options, SignalInbox& inbox, FolderLock& lock) {
  Supervisor supervisor(plan, run_folder, inbox, lock);
  RestartPolicy policy(options);
  const int64_t first_serial = newest_checkpoint(run_folder).serial;
  while (true) {
    Attempt attempt = supervisor.attempt();
    const Decision decision = policy.decide(attempt);
    attempt.serial_before = first_serial;
    if (!decision.restart) {
      if (decision.exit_code != 0) spdlog::warn("ended: {}", decision.because);
      return {decision.exit_code, attempt};
    }
    spdlog::warn("{}, in {:.0f} s", decision.because, decision.delay_s);
    supervisor.pause(decision.delay_s);
  }
}

}  // namespace resnext
