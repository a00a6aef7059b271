// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/run_simulation.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/simulation/disk_view.h"
#include "tests/simulation/run_rules.h"
#include "tests/simulation/simulated_start.h"

namespace resnext::test {
namespace {

constexpr int kLastStarts = 4;  // without mishaps, until the run must have ended

RunConfig config_of(const History& history, const Start& start, const std::string& resume) {
  RunConfig config = history.config;
  config.run.resume = resume;
  config.run.accept_new_data = start.accept_new_data;
  config.run.seed = start.seed;
  config.run.epochs = start.epochs;
  config.run.steps = start.steps;
  config.checkpoint.every_steps = start.save_steps;
  config.checkpoint.every_epochs = start.save_epochs;
  return config;
}

// A restart repeats the command of the start before.
Start restarted(Start start, const Start& before) {
  start.images = before.images;
  start.accept_new_data = before.accept_new_data;
  start.epochs = before.epochs;
  start.steps = before.steps;
  start.save_steps = before.save_steps;
  start.save_epochs = before.save_epochs;
  if (start.meddling == Meddling::kGoBack) start.meddling = Meddling::kNone;
  if (start.global_batch() > start.images) start.per_rank = 1;
  return start;
}

class Simulation {
 public:
  explicit Simulation(const History& history)
      : history_(history), world_(history.seed), random_(history.seed + 77) {}

  void run();

 private:
  // Before a start.
  void meddle(const Start& start, bool again);
  void damage(const SeenSave& save, bool truncate);
  void begin_anew();
  std::vector<SeenSave> expected(const Start& start, const DiskView& view, bool again);
  std::vector<SeenSave> newest_snapshots(const Start& start, const DiskView& view,
                                         const SeenSave* saved);
  // The start.
  Outcome play(const Start& start, bool again);
  bool launch(const Start& start, bool again);
  Start last_start();
  // Behind it.
  void check(const Start& start, const DiskView& before, const Outcome& outcome);
  void check_begin(const DiskView& before, const Outcome& outcome);
  void check_saves(const DiskView& before, const DiskView& after);
  void check_end(const DiskView& after, const Outcome& outcome) const;
  void check_untouched(const Start& start, const Outcome& outcome,
                       const std::map<std::string, std::string>& content);

  DiskView look() { return look_at(world_.shared, history_.config.run.output, damages_); }
  std::string folder() const { return history_.config.run.output + "/checkpoints"; }
  int64_t newest_serial();

  const History& history_;
  World world_;
  std::mt19937_64 random_;
  Damages damages_;
  std::string resume_ = "auto";
  std::vector<SeenSave> expected_;  // one of which this start must go on from
  bool refused_ = false;            // this start has other data, which it does not accept
  bool left_alone_ = true;          // nothing was damaged, and the run never went back
  bool metrics_whole_ = true;       // they were not lost with the folder, nor behind a snapshot
  bool path_may_be_taken_ = false;  // a start of this launcher was about to go back
  bool path_was_taken_ = false;     // it has
  Footings footings_;
  std::optional<RestartPolicy> policy_;
  std::optional<LauncherRules> launcher_;
  Start command_;  // of the launcher
};

// ---- before a start -------------------------------------------------------------------------

void Simulation::damage(const SeenSave& save, bool truncate) {
  static constexpr const char* kFiles[] = {"manifest.json", "model.pt", "optimizer.pt",
                                           "validation.json"};
  const std::string file = kFiles[random_() % 4];
  const std::string path = folder() + "/" + save.name + "/" + file;
  if (!world_.shared.exists(path) || world_.shared.size(path) == 0) return;
  const uint64_t size = world_.shared.size(path);
  if (truncate) {
    world_.shared.truncate(path, random_() % size);
  } else {
    world_.shared.flip_bit(path, random_() % (8 * size));
  }
  damages_[save.name + "/" + file] = world_.shared.read(path);
  left_alone_ = false;
}

void Simulation::begin_anew() {
  world_.shared.remove_all(history_.config.run.output);
  world_.committed = 0;
  world_.saved.clear();
  damages_.clear();
  metrics_whole_ = false;
}

void Simulation::meddle(const Start& start, bool again) {
  const DiskView view = look();
  if (!again) resume_ = "auto";
  if (start.meddling == Meddling::kLoseAll) return begin_anew();
  if (view.saves.empty()) return;
  const SeenSave& some = view.saves[start.draw % view.saves.size()];
  const std::string best = folder() + "/best";
  SimulatedDisk& disk = world_.shared;
  switch (start.meddling) {
    case Meddling::kFlipBit:
    case Meddling::kTruncate:
      return damage(some, start.meddling == Meddling::kTruncate);
    case Meddling::kDamageAll:
      for (const SeenSave& save : view.saves) {
        const std::string path = folder() + "/" + save.name + "/model.pt";
        disk.truncate(path, 3);
        damages_[save.name + "/model.pt"] = disk.read(path);
      }
      left_alone_ = false;
      return;
    case Meddling::kRenameBest:
      if (disk.exists(best)) disk.rename(best, folder() + "/my-best");
      return;
    case Meddling::kRemoveBest:
      return disk.remove_all(best);
    case Meddling::kPointBest:
      disk.remove_all(best);
      return disk.make_link(some.name, best);
    case Meddling::kGoBack:
      resume_ = folder() + "/" + some.name;
      left_alone_ = false;
      return;
    case Meddling::kLoseAll:
    case Meddling::kNone:
      return;
  }
}

// Of the present line; of any where the folder knows of none.
std::vector<SeenSave> Simulation::newest_snapshots(const Start& start, const DiskView& view,
                                                   const SeenSave* saved) {
  std::set<int> hosts;
  for (int rank = 0; rank < start.ranks; ++rank) hosts.insert(host_of(start, rank));
  int64_t step = saved ? saved->step : -1;
  std::vector<SeenSave> newest;
  if (history_.config.checkpoint.local.empty()) return newest;
  for (const int host : hosts) {
    for (const SeenSave& each :
         snapshots_on(*world_.hosts[static_cast<size_t>(host)], kLocalFolder)) {
      if (!view.run.empty() && (each.run != view.run || each.line != view.line)) continue;
      if (each.step > step) newest.clear();
      if (each.step > step || (each.step == step && !newest.empty())) newest.push_back(each);
      step = std::max(step, each.step);
    }
  }
  return newest;
}

// A restart goes back no second time. Whether the first time stands is not told when it was killed
// early, or when the line began with the same path before.
std::vector<SeenSave> Simulation::expected(const Start& start, const DiskView& view, bool again) {
  const SeenSave* saved = view.newest_of_line();
  std::vector<SeenSave> found;
  if (resume_ == "auto") {
    if (saved || view.broken.empty()) found = newest_snapshots(start, view, saved);
    if (found.empty() && saved) found.push_back(*saved);
    return found;
  }
  const SeenSave* named = view.find(resume_.substr(resume_.rfind('/') + 1));
  const bool may_go_on = again && (path_may_be_taken_ || view.origin == resume_);
  if (may_go_on && saved) found.push_back(*saved);
  if (named && !(again && path_was_taken_ && saved)) found.push_back(*named);
  return found;
}

// ---- what must hold -------------------------------------------------------------------------

void Simulation::check_begin(const DiskView& before, const Outcome& outcome) {
  if (!outcome.began) return;
  require(!refused_, "other data were not refused");
  check_walk(outcome.from, footings_, history_);
  require(static_cast<int64_t>(outcome.from.seen.size()) == outcome.from_step,
          "steps and batches differ");
  if (expected_.empty()) {
    require(before.saves.empty() && before.broken.empty(), "it began though nothing could be read");
    return require(outcome.from_step == 0, "it went on though there was nothing");
  }
  const auto is_right = [&](const SeenSave& save) { return save.step == outcome.from_step; };
  require(std::ranges::any_of(expected_, is_right),
          fmt::format("went on from step {}, not {}", outcome.from_step, expected_[0].step));
  require(std::ranges::find(expected_, outcome.from, &SeenSave::weights) != expected_.end(),
          "went on with other weights than were saved");
  if (expected_[0].serial == 0) metrics_whole_ = false;  // of a snapshot
}

void Simulation::check_saves(const DiskView& before, const DiskView& after) {
  for (const SeenSave& save : after.saves) {
    check_walk(save.weights, footings_, history_);
    require(static_cast<int64_t>(save.weights.seen.size()) == save.step,
            "steps and batches differ");
    const auto [known, is_new] = world_.saved.emplace(save.serial, save.weights);
    require(known->second == save.weights, fmt::format("serial {} was used twice", save.serial));
    require(!is_new || save.serial > before.last_serial,
            fmt::format("serial {} of {} is not new", save.serial, save.name));
  }
}

void Simulation::check_end(const DiskView& after, const Outcome& outcome) const {
  check_walk(outcome.to, footings_, history_);
  const SeenSave* newest = after.newest_of_line();
  require(newest != nullptr && newest->weights == outcome.to,
          "the newest save is not where the run ended");
  require(after.latest == newest->name, "latest leads elsewhere");
  check_best(after);
}

void Simulation::check(const Start& start, const DiskView& before, const Outcome& outcome) {
  const DiskView after = look();
  static constexpr int kCodes[] = {0, 64, 65, 73, 75, 76, kKilledCode};
  require(std::ranges::find(kCodes, outcome.code) != std::end(kCodes),
          fmt::format("exit code {}: {}", outcome.code, outcome.error));
  if (outcome.began) footings_.insert({outcome.from_step, {start.images, start.global_batch()}});
  check_begin(before, outcome);
  check_saves(before, after);
  const bool ended = outcome.code == 0 || outcome.code == 75;
  check_metrics(after, history_.config.log.every_steps, ended && metrics_whole_,
                static_cast<int64_t>(outcome.to.seen.size()));
  check_replicas(start, outcome);
  check_saved_before_validated(start, after, outcome);
  if (ended) check_end(after, outcome);
}

// A start that had to be refused.
void Simulation::check_untouched(const Start& start, const Outcome& outcome,
                                 const std::map<std::string, std::string>& content) {
  require(outcome.code != 0 && outcome.code != 75, "it began anew over what is there");
  const bool lost_power = outcome.code == kKilledCode && start.power;
  require(lost_power || content_of(world_.shared) == content, "a refused start changed files");
  const bool refused_for_data = refused_ && outcome.code == 65;
  const bool met_trouble = outcome.code == kKilledCode || outcome.code == 73 || outcome.code == 64;
  require(!refused_ || refused_for_data || met_trouble, "other data were refused by another code");
}

// ---- the start ------------------------------------------------------------------------------

Outcome Simulation::play(const Start& start, bool again) {
  ++world_.attempt;
  meddle(start, again);
  const DiskView before = look();
  expected_ = expected(start, before, again);
  const auto of_other_data = [&](const SeenSave& save) { return save.images != start.images; };
  refused_ =
      !start.accept_new_data && !expected_.empty() && std::ranges::all_of(expected_, of_other_data);
  const SeenSave* newest = before.newest_of_line();
  if (resume_ == "auto" && left_alone_) {
    require((newest ? newest->serial : 0) >= world_.committed,
            fmt::format("the save with serial {} is lost", world_.committed));
  }
  const bool all_damaged = expected_.empty() && !before.broken.empty();
  const auto content = content_of(world_.shared);
  const Outcome outcome =
      carry_out(world_, history_, start, config_of(history_, start, resume_), again);
  try {
    check(start, before, outcome);
    if (all_damaged || refused_) check_untouched(start, outcome, content);
  } catch (Violation& violation) {
    throw Violation{fmt::format("start {}, {}{}, run.resume={}, which ended with {} {}: {}",
                                world_.attempt, again ? "a restart, " : "", describe(start),
                                resume_, outcome.code, outcome.error, violation.what)};
  }
  path_may_be_taken_ = path_may_be_taken_ || outcome.began;
  path_was_taken_ = path_was_taken_ || outcome.steps > 0;
  if (all_damaged) {
    begin_anew();  // as the user would
    for (auto& host : world_.hosts) host = std::make_unique<SimulatedDisk>();
  }
  return outcome;
}

int64_t Simulation::newest_serial() {
  const DiskView view = look();
  return view.saves.empty() ? -1 : view.saves.front().serial;
}

// True: the launcher starts it again.
bool Simulation::launch(const Start& drawn, bool again) {
  if (!again) {
    RestartOptions options;
    options.max_restarts = history_.max_restarts;
    policy_.emplace(options);
    launcher_.emplace(history_.max_restarts);
    command_ = drawn;
    path_may_be_taken_ = path_was_taken_ = false;
  }
  const Start start = again ? restarted(drawn, command_) : drawn;
  Attempt attempt;
  attempt.serial_before = newest_serial();
  attempt.exit_code = play(start, again).code;
  attempt.serial_after = newest_serial();
  attempt.stop_signal = start.mishap == Mishap::kStop && start.asked ? 15 : 0;
  attempt.seconds = start.early ? 1 : 100;
  const Decision decision = policy_->decide(attempt);
  launcher_->check(attempt, decision);
  return decision.restart;
}

Start Simulation::last_start() {
  Start start = history_.starts.back();
  start.meddling = Meddling::kNone;
  start.mishap = Mishap::kNone;
  start.accept_new_data = true;
  start.steps = 0;
  start.ranks = 1 + static_cast<int>(random_() % 4);
  start.per_rank = 1 + static_cast<int64_t>(random_() % 4);
  start.accumulation = 1;
  if (start.global_batch() > start.images) start.per_rank = 1;
  start.save_lag = static_cast<int64_t>(random_() % 4);
  return start;
}

void Simulation::run() {
  bool again = false;
  for (const Start& start : history_.starts) again = launch(start, again);
  for (int last = 0; last < kLastStarts; ++last) {
    const Start start = last_start();
    const Outcome outcome = play(start, /*again=*/false);
    if (outcome.code != 0) continue;
    require(outcome.to.seen.back().epoch >= start.epochs - 1, "it ended before its last epoch");
    return;
  }
  throw Violation{"the run does not come to its end"};
}

}  // namespace

std::string simulate(const History& history) {
  try {
    Simulation(history).run();
    return "";
  } catch (const Violation& violation) {
    return describe(history) + "  " + violation.what + "\n";
  }
}

}  // namespace resnext::test
