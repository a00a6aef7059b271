// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_pool.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <deque>

#include "comm/common/console.h"
#include "comm/common/error.h"
#include "launcher/child_process.h"
#include "launcher/programs.h"
#include "launcher/reaper.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;

struct Running {
  const Trial* trial;
  size_t share;
  ChildProcess process;
  TrialRecord record;
  Clock::time_point start;
};

class Pool {
 public:
  Pool(SweepFolder& folder, const std::vector<const Trial*>& trials,
       const std::vector<Resources>& shares, const PoolOptions& options, SignalInbox& inbox)
      : folder_(folder),
        waiting_(trials.begin(), trials.end()),
        total_(trials.size()),
        shares_(shares),
        options_(options),
        inbox_(inbox),
        busy_(shares.size(), false) {}

  int run();

 private:
  void start_waiting();
  void start(const Trial& trial, size_t share);
  void collect();
  void finish(Running& running, int code);
  void tell_progress() const;
  void end_strays();
  void stop_when_asked();

  const std::string launcher_ = this_program();  // asked once: a rebuild must not end the sweep
  SweepFolder& folder_;
  std::deque<const Trial*> waiting_;
  const size_t total_;
  const std::vector<Resources>& shares_;
  const PoolOptions& options_;
  SignalInbox& inbox_;
  const Reaper reaper_;
  std::vector<bool> busy_;
  std::deque<Running> running_;
  size_t started_ = 0;
  size_t finished_ = 0;
  size_t failed_ = 0;
  double trial_seconds_ = 0;  // of the trials that ended
  int code_ = 0;
  bool stopping_ = false;
  bool left_undone_ = false;  // by a stop request
  Clock::time_point last_stop_{};
};

// A lone trial keeps the whole machine, so it needs no limits.
Command make_command(const std::string& launcher, const SweepFolder& folder, const Trial& trial,
                     const PoolOptions& options, const Resources& share, bool limited) {
  Command command;
  command.argv = trial_command(launcher, folder, trial, options);
  if (options.log_to_file) command.output = (folder.folder(trial) / "launcher.log").string();
  if (!limited) return command;
  for (const std::vector<int>& core : share.cores) {
    command.cores.insert(command.cores.end(), core.begin(), core.end());
  }
  if (!share.gpus.empty()) {
    command.environment.emplace_back("CUDA_VISIBLE_DEVICES",
                                     fmt::format("{}", fmt::join(share.gpus, ",")));
  }
  return command;
}

void Pool::start(const Trial& trial, size_t share) {
  TrialRecord record = folder_.record(trial);
  ++record.starts;
  record.exit_code.reset();
  record.finished = record.paused = false;
  folder_.write_record(trial, record);
  spdlog::info("trial {}/{} {}: started{}", ++started_, total_, trial.name,
               record.starts > 1 ? fmt::format(" (start {})", record.starts) : "");
  ChildProcess process(
      make_command(launcher_, folder_, trial, options_, shares_[share], shares_.size() > 1));
  busy_[share] = true;
  running_.push_back({&trial, share, std::move(process), record, Clock::now()});
}

void Pool::start_waiting() {
  for (size_t share = 0; share < shares_.size() && !waiting_.empty() && !stopping_; ++share) {
    if (busy_[share]) continue;
    const Trial& next = *waiting_.front();
    waiting_.pop_front();
    start(next, share);
  }
}

void Pool::finish(Running& running, int code) {
  TrialRecord& record = running.record;
  const double seconds = std::chrono::duration<double>(Clock::now() - running.start).count();
  record.seconds += seconds;
  record.exit_code = code;
  record = folder_.with_results(std::move(record), *running.trial);
  folder_.write_record(*running.trial, record);
  busy_[running.share] = false;
  if (code == 0) {
    spdlog::info("trial {}: {} in {:.0f} s", running.trial->name,
                 record.paused ? "at its rung" : "finished", seconds);
  } else {
    const auto log = folder_.folder(*running.trial) / "launcher.log";
    spdlog::warn("trial {}: ended with {}{}", running.trial->name, code,
                 options_.log_to_file ? "; see " + log.string() : "");
    if (code_ == 0) code_ = code;
    left_undone_ = left_undone_ || (stopping_ && code == static_cast<int>(ExitCode::kStopped));
  }
  if (options_.on_end) options_.on_end(*running.trial);
  ++(code == 0 ? finished_ : failed_);
  trial_seconds_ += seconds;
  if (total_ > 1) tell_progress();
}

// Running trials count as half done.
void Pool::tell_progress() const {
  const size_t ended = finished_ + failed_;
  const auto running = static_cast<double>(running_.size() - 1);  // but the one that just ended
  const double left = (static_cast<double>(waiting_.size()) + running / 2) * trial_seconds_ /
                      static_cast<double>(ended * shares_.size());
  spdlog::info("{} of {} trials finished, {} failed, {} running, {} waiting{}", finished_, total_,
               failed_, running_.size() - 1, waiting_.size(),
               left > 0 ? ", about " + duration_text(left) + " left" : "");
}

void Pool::collect() {
  for (auto it = running_.begin(); it != running_.end();) {
    const std::optional<int> code = it->process.poll();
    if (!code) {
      ++it;
      continue;
    }
    end_strays();
    finish(*it, *code);
    it = running_.erase(it);
  }
}

void Pool::end_strays() {
  std::set<pid_t> living;
  for (const Running& running : running_) living.insert(running.process.pid());
  reaper_.end_strays(living);
}

// A launcher minds stop requests from its first instruction on, but for the moment in which it is
// being started. A second SIGINT is handed on as such.
void Pool::stop_when_asked() {
  const bool may_go_on = !options_.may_go_on || options_.may_go_on();
  if (inbox_.stop_signal() == 0 && may_go_on) return;
  stopping_ = true;
  if (Clock::now() - last_stop_ < std::chrono::seconds(1)) return;
  last_stop_ = Clock::now();
  for (const Running& running : running_) {
    const int signal = inbox_.must_end_at_once() ? SIGINT : SIGTERM;
    if (running.process.minds(signal)) running.process.signal(signal);
  }
}

int Pool::run() {
  while (true) {
    collect();
    stop_when_asked();
    start_waiting();
    if (running_.empty()) break;
    inbox_.wait(stopping_ ? 0.1 : 1.0);
  }
  end_strays();
  left_undone_ = left_undone_ || (stopping_ && !waiting_.empty());
  return left_undone_ ? static_cast<int>(ExitCode::kStopped) : code_;
}

}  // namespace

std::vector<std::string> trial_command(const std::string& launcher, const SweepFolder& folder,
                                       const Trial& trial, const PoolOptions& options) {
  std::vector<std::string> argv = {launcher, "run", folder.config(trial).string()};
  argv.insert(argv.end(), options.run_options.begin(), options.run_options.end());
  return argv;
}

int run_trials(SweepFolder& folder, const std::vector<const Trial*>& trials,
               const std::vector<Resources>& shares, const PoolOptions& options,
               SignalInbox& inbox) {
  return Pool(folder, trials, shares, options, inbox).run();
}

}  // namespace resnext
