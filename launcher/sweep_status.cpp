// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_status.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <vector>

#include "comm/common/console.h"
#include "comm/common/error.h"
#include "comm/common/folder_lock.h"
#include "launcher/leaderboard.h"
#include "launcher/sweep_snapshot.h"
#include "launcher/sweep_submissions.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAtRung = "stopped at rung";  // state_of()

struct Standing {
  const Trial* trial = nullptr;
  TrialRecord record;
  std::string state;
  std::string note;         // why it failed, or how far it is
  double seconds_left = 0;  // of a running one
};

struct Tally {
  std::map<std::string, size_t> states;
  double finished_seconds = 0;
  double seconds_left = 0;  // of the running trial that has most to do
};

SweepSnapshot read_sweep_of(const std::string& file) {
  if (!fs::is_directory(file)) {
    if (is_snapshot(file)) return read_snapshot(file, 0, kNoTrial);
    const SweepFile sweep = read_sweep(file);
    return {sweep, expand_sweep(sweep, {}, 0)};
  }
  SweepSnapshot snapshot = read_snapshot(fs::path(file) / kSweepFile, 0, kNoTrial);
  snapshot.sweep.output = file;  // it may have been moved
  return snapshot;
}

// The last error that the trial's launcher has logged.
std::string last_error(const fs::path& run_folder) {
  std::string last;
  std::ifstream stream(run_folder / "launcher.log");
  for (std::string line; std::getline(stream, line);) {
    if (const auto at = line.find(" error "); at != line.npos) last = line.substr(at + 7);
  }
  return last;
}

double get(const Figures& figures, const char* name) {
  const auto found = figures.find(name);
  return found == figures.end() ? 0 : found->second;
}

// The rate of the last logged step is that of the rest.
void describe_progress(const fs::path& run_folder, Standing& standing) {
  const RunMetrics metrics = read_metrics(run_folder, 2);
  const double total = get(metrics.start, "total_steps");
  const auto step = static_cast<double>(metrics.last_step());
  standing.record.step = metrics.last_step();
  if (total <= 0 || metrics.train.empty()) return;
  const double rate = get(metrics.train.rbegin()->second, "images_per_second");
  if (rate > 0) standing.seconds_left = (total - step) * get(metrics.start, "global_batch") / rate;
  standing.note = fmt::format("step {:.0f} of {:.0f}", step, total);
  if (rate > 0) standing.note += ", " + duration_text(standing.seconds_left) + " left";
}

Standing standing_of(const Trial& trial, const SweepFolder& folder,
                     const std::set<std::string>& queued) {
  const fs::path path = folder.folder(trial);
  Standing standing{&trial, folder.record(trial), "", "", 0};
  if (!standing.record.finished && folder.finished(trial)) {
    standing.record = folder.with_results(standing.record, trial);
  }
  standing.state = state_of(standing.record, folder.stopped_at(trial));
  if (standing.record.finished || standing.state.starts_with(kAtRung)) return standing;
  if (is_running(path)) {
    standing.state = "running";
    describe_progress(path, standing);
  } else if (queued.contains(trial.name)) {
    standing.state = "queued";
  } else if (standing.state == "unfinished") {
    standing.state = "lost";
    standing.note = "its launcher is gone; start the sweep again";
  } else if (standing.state == "paused") {
    standing.note = fmt::format("rung {} waits for {} trials", folder.halving().rung + 1,
                                folder.halving().awaited.size());
  } else {
    standing.note = reason_of(standing.record);
    const std::string error = last_error(path);
    if (!standing.note.empty() && !error.empty()) standing.note += ": " + error;
  }
  return standing;
}

size_t count(const Tally& tally, const std::string& state) {
  const auto found = tally.states.find(state);
  return found == tally.states.end() ? 0 : found->second;
}

// What waits takes as long as what has finished did, as many at once as run now.
double time_left(const Tally& tally) {
  const auto finished = static_cast<double>(count(tally, "finished"));
  const auto waiting = static_cast<double>(count(tally, "waiting") + count(tally, "queued"));
  const auto running = static_cast<double>(std::max<size_t>(1, count(tally, "running")));
  const double each = finished > 0 ? tally.finished_seconds / finished : 0;
  return tally.seconds_left + waiting * each / running;
}

std::string summary(const Tally& tally, const SweepSnapshot& sweep) {
  std::vector<std::string> parts;
  for (const auto& [state, trials] : tally.states) {
    parts.push_back(fmt::format("{} {}", trials, state));
  }
  const double left = time_left(tally);
  return fmt::format("{} trials in {}: {}{}\n", sweep.trials.size(), sweep.sweep.output,
                     fmt::join(parts, ", "),
                     left > 0 ? "; about " + duration_text(left) + " left" : "");
}

}  // namespace

bool is_running(const fs::path& run_folder) {
  constexpr auto kFresh = std::chrono::seconds(60);
  std::error_code error;
  const auto touched = fs::last_write_time(run_folder / kLauncherLock, error);
  return !error && fs::file_time_type::clock::now() - touched < kFresh;
}

int show_sweep_status(const SweepTask& task) {
  const SweepSnapshot sweep = read_sweep_of(task.file);
  if (!fs::exists(fs::path(sweep.sweep.output) / kSweepFile)) {
    throw ConfigError(sweep.sweep.output, "has no sweep yet", "start it: sweep " + task.file);
  }
  SweepFolder folder(sweep.sweep, sweep.trials, kNoTrial);
  std::set<std::string> names;
  for (const Trial& trial : sweep.trials) {
    if (!folder.record(trial).finished && folder.stopped_at(trial) == 0) names.insert(trial.name);
  }
  const std::set<std::string> queued = queued_trials(folder.path(), names);
  Tally tally;
  std::vector<Row> rows = {{"not finished", "state", "step", "starts", ""}};
  for (const Trial& trial : sweep.trials) {
    const Standing standing = standing_of(trial, folder, queued);
    ++tally.states[standing.state.starts_with("failed") ? "failed" : standing.state];
    tally.seconds_left = std::max(tally.seconds_left, standing.seconds_left);
    if (standing.record.finished) {
      tally.finished_seconds += standing.record.seconds;
      if (!folder.record(trial).finished) folder.write_record(trial, standing.record);
    } else if (standing.state != "waiting" && standing.state != "queued" &&
               !standing.state.starts_with(kAtRung)) {
      rows.push_back({trial.name, standing.state, std::to_string(standing.record.step),
                      std::to_string(standing.record.starts), standing.note});
    }
  }
  std::string text = write_leaderboard(sweep.sweep, sweep.trials, folder);
  if (rows.size() > 1) text += "\n" + to_columns(rows);
  text += "\n" + summary(tally, sweep);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace resnext
