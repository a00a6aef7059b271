// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/run_simulation.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <random>

#include "comm/common/error.h"
#include "tests/simulation/disk_view.h"
#include "tests/simulation/fake_learner.h"
#include "tests/simulation/simulated_disk.h"
#include "tests/simulation/simulated_files.h"
#include "tests/support/thread_communicator.h"
#include "worker/state/agreement.h"
#include "worker/training_run.h"

namespace resnext::test {
namespace {

constexpr int kKilled = 137;
constexpr int kLastStarts = 4;  // without mishaps, until the run must have ended

// All files but locks.
std::map<std::string, std::string> content_of(const SimulatedDisk& disk) {
  auto content = disk.snapshot();
  std::erase_if(content,
                [](const auto& file) { return file.first.find(".lock") != std::string::npos; });
  return content;
}

struct Violation {
  std::string what;
};

void require(bool holds, const std::string& what) {
  if (!holds) throw Violation{what};
}

// What one start did, as it looks from outside.
struct Outcome {
  int code = 0;
  std::string error;
  bool began = false;  // the learner was made: where the run goes on was decided
  int64_t from_step = 0;
  FakeWeights from, to;  // of rank 0
  bool flipped = false;  // a rank's weights
};

class Simulation {
 public:
  explicit Simulation(const History& history)
      : history_(history), disk_(history.seed), random_(history.seed + 77) {}

  void run();

 private:
  Outcome play(const Start& start);
  void meddle(const Start& start);
  void damage(const SeenSave& save, bool truncate);
  Outcome carry_out(const Start& start);
  void run_rank(const Start& start, const RunConfig& config, Communicator& communicator,
                SimulatedFiles& files, Outcome& outcome);
  OwnerOptions owner_of(int process);
  void start_second_job();
  void check(const Start& start, const DiskView& before, const Outcome& outcome);
  void check_walk(const FakeWeights& weights) const;
  void check_metrics(const DiskView& view, const Outcome& outcome, bool ended) const;
  void check_best(const DiskView& view) const;
  DiskView look() { return look_at(disk_, history_.config.run.output, damages_); }
  std::string folder() const { return history_.config.run.output + "/checkpoints"; }

  const History& history_;
  SimulatedDisk disk_;
  std::mt19937_64 random_;
  Damages damages_;
  std::string resume_ = "auto";
  std::optional<SeenSave> expected_;  // that the next start must go on from
  bool all_damaged_ = false;
  bool left_alone_ = true;                // nothing was damaged, and the run never went back
  int64_t committed_ = 0;                 // serial of the newest save that was said to be written
  std::map<int64_t, FakeWeights> saved_;  // by serial, all that was ever seen
  int attempt_ = 0;
};

// ---- what goes wrong ------------------------------------------------------------------------

void Simulation::damage(const SeenSave& save, bool truncate) {
  static constexpr const char* kFiles[] = {"manifest.json", "model.pt", "optimizer.pt",
                                           "validation.json"};
  const std::string file = kFiles[random_() % 4];
  const std::string path = folder() + "/" + save.name + "/" + file;
  if (!disk_.exists(path) || disk_.size(path) == 0) return;
  const uint64_t size = disk_.size(path);
  if (truncate) {
    disk_.truncate(path, random_() % size);
  } else {
    disk_.flip_bit(path, random_() % (8 * size));
  }
  damages_[save.name + "/" + file] = disk_.read(path);
  left_alone_ = false;
}

void Simulation::meddle(const Start& start) {
  const DiskView view = look();
  resume_ = "auto";
  all_damaged_ = false;
  if (view.saves.empty()) return;
  const SeenSave& some = view.saves[start.draw % view.saves.size()];
  const std::string best = folder() + "/best";
  switch (start.meddling) {
    case Meddling::kFlipBit:
    case Meddling::kTruncate:
      return damage(some, start.meddling == Meddling::kTruncate);
    case Meddling::kDamageAll:
      for (const SeenSave& save : view.saves) {
        disk_.truncate(folder() + "/" + save.name + "/model.pt", 3);
        damages_[save.name + "/model.pt"] = disk_.read(folder() + "/" + save.name + "/model.pt");
      }
      left_alone_ = false;
      return;
    case Meddling::kRenameBest:
      if (disk_.exists(best)) disk_.rename(best, folder() + "/my-best");
      return;
    case Meddling::kRemoveBest:
      return disk_.remove_all(best);
    case Meddling::kPointBest:
      disk_.remove_all(best);
      return disk_.make_link(some.name, best);
    case Meddling::kGoBack:
      resume_ = folder() + "/" + some.name;
      left_alone_ = false;
      return;
    case Meddling::kNone:
      return;
  }
}

// ---- one start ------------------------------------------------------------------------------

int code_of(const std::exception_ptr& thrown, Outcome& outcome) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Killed&) {
    return kKilled;
  } catch (const LostRank&) {
    return static_cast<int>(ExitCode::kPeerLost);
  } catch (const Error& error) {
    outcome.error = error.what();
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    outcome.error = error.what();
    return static_cast<int>(ExitCode::kInternal);
  }
}

// The first cause, as the ranks would publish it: what is no consequence of another's.
int first_cause(const std::vector<std::exception_ptr>& thrown, Outcome& outcome) {
  int code = 0;
  for (const std::exception_ptr& each : thrown) {
    if (!each) continue;
    const int mine = code_of(each, outcome);
    if (mine == kKilled) return mine;
    if (code == 0 || code == static_cast<int>(ExitCode::kPeerLost)) code = mine;
  }
  return code;
}

DataRecord data_of(int64_t images) {
  DataRecord data;
  data.train = {images, 1, "raw"};
  data.validation = {10, 2, "raw"};
  data.classes = 2;
  data.mean = data.std = {0.5, 0.5, 0.5};
  return data;
}

RunShape shape_of(const RunConfig& config, const Start& start) {
  RunShape shape;
  shape.world_size = start.ranks;
  shape.batch.per_rank = start.per_rank;
  shape.batch.accumulation = start.accumulation;
  shape.batch.global = start.per_rank * start.accumulation * start.ranks;
  shape.cost.parameters = 1;
  return shape;
}

// Processes are numbered as attempts; those of attempts that have ended are dead.
OwnerOptions Simulation::owner_of(int process) {
  OwnerOptions options;
  options.heart = false;
  options.lock.self = [process] {
    LockOwner owner = this_process("a rank");
    owner.pid = process;
    return owner;
  };
  options.lock.liveness = [this](const LockOwner& owner) {
    return owner.pid == attempt_ ? Liveness::kAlive : Liveness::kDead;
  };
  options.lock.now = [this] { return disk_.now_s(); };
  options.lock.sleep = [this](double seconds) { disk_.advance(seconds); };
  options.lock.guard = [](const std::filesystem::path&) { return std::shared_ptr<void>(); };
  return options;
}

// It is refused, and changes nothing.
void Simulation::start_second_job() {
  SimulatedFiles files(disk_, history_.seed);
  const auto before = content_of(disk_);
  try {
    const RunOwner second(files, history_.config.run.output, owner_of(1000 + attempt_));
  } catch (const ConfigError&) {
    if (content_of(disk_) != before) throw std::runtime_error("a second start has changed files");
    return;
  }
  throw std::runtime_error("a second start was not refused");
}

void Simulation::run_rank(const Start& start, const RunConfig& config, Communicator& communicator,
                          SimulatedFiles& files, Outcome& outcome) {
  const int rank = communicator.rank();
  const bool mine = rank == start.rank;
  int64_t steps = 0;
  const auto killed = [&](Mishap mishap) { return start.mishap == mishap && mine; };
  std::function<void()> job;  // that is being written, for so many steps
  int64_t lag = 0;
  const auto finish_job = [&] {
    if (!job) return;
    const auto now = std::exchange(job, {});
    now();
    if (files.killed()) throw Killed();
    const DiskView view = look();
    for (const SeenSave& save : view.saves) saved_.emplace(save.serial, save.weights);
    if (const SeenSave* newest = view.find(view.latest)) {
      committed_ = std::max(committed_, newest->serial);
    }
  };
  FakeOptions fake;
  fake.images = history_.images;
  fake.global_batch = start.per_rank * start.accumulation * start.ranks;
  fake.seed = config.run.seed;
  fake.steps_ahead = history_.steps_ahead;
  fake.not_finite = history_.not_finite;
  fake.on_step = [&](int64_t, FakeWeights& weights) {
    ++steps;
    if (killed(Mishap::kKillRank) && steps == start.at) {
      files.kill();
      throw Killed();
    }
    if (killed(Mishap::kFlipWeights) && steps == start.at && start.ranks > 1) {
      weights.value ^= uint64_t{1} << (start.draw % 64);
      outcome.flipped = true;
    }
    if (rank == 0 && --lag <= 0) finish_job();
    if (rank == 0 && steps == 2) start_second_job();
  };
  fake.on_validation = [&] {
    if (start.mishap == Mishap::kKillValidation && rank == 0) {
      files.kill();
      throw Killed();
    }
    if (killed(Mishap::kBadValidation)) {
      throw DataError("validation", "an image is damaged", "repair it");
    }
  };
  const auto stop = [&] { return killed(Mishap::kStop) && steps >= start.at; };
  const BackgroundSave::Runner runner{[&](std::function<void()> each) {
                                        job = std::move(each);
                                        lag = start.save_lag;
                                      },
                                      finish_job};
  const FakeLearner* learner = nullptr;
  const auto make = [&](Meters&, const Progress* progress, const SavedState* state) {
    FakeWeights weights;
    if (rank == 0 && state) weights = to_weights(state->files.at("model.pt"));
    std::string text = broadcast_text(communicator, to_text(weights));
    weights = to_weights(text);
    if (rank == 0) {
      outcome.began = true;
      outcome.from_step = progress ? progress->step : 0;
      outcome.from = weights;
    }
    auto made = std::make_unique<FakeLearner>(fake, communicator, weights);
    learner = made.get();
    return std::unique_ptr<Learner>(std::move(made));
  };
  const RunShape shape = shape_of(config, start);
  const DataRecord data = data_of(history_.images);
  TrainingRun run(config, shape, data, communicator,
                  Surroundings{files, rank == 0, false, stop, owner_of(attempt_), runner}, make,
                  false);
  const ExitCode code = run.run();
  if (rank != 0) return;
  outcome.code = static_cast<int>(code);
  outcome.to = learner->weights();
}

Outcome Simulation::carry_out(const Start& start) {
  RunConfig config = history_.config;
  config.run.resume = resume_;
  Outcome outcome;
  std::vector<std::unique_ptr<SimulatedFiles>> files;
  for (int rank = 0; rank < start.ranks; ++rank) {
    const auto seed = history_.seed * 1000 + static_cast<uint64_t>(attempt_ * 10 + rank);
    files.push_back(std::make_unique<SimulatedFiles>(disk_, seed));
  }
  const auto at = static_cast<uint64_t>(start.at);
  if (start.mishap == Mishap::kKillFiles) files[0]->kill_at(at);
  if (start.mishap == Mishap::kFailCall) files[0]->fail_at(at, start.error);
  if (start.mishap == Mishap::kFullDisk) disk_.limit(disk_.used() + 40 * at);
  const auto thrown = outcomes_of_ranks(start.ranks, [&](Communicator& communicator) {
    run_rank(start, config, communicator, *files[static_cast<size_t>(communicator.rank())],
             outcome);
  });
  disk_.limit(UINT64_MAX);
  if (const int code = first_cause(thrown, outcome); code != 0) outcome.code = code;
  if (outcome.code == kKilled && start.power) disk_.lose_power();
  return outcome;
}

// ---- what must hold -------------------------------------------------------------------------

// In order, each once; fewer than one batch is left over at the end of an epoch: one of the batch
// before, or of the start that went on there.
void Simulation::check_walk(const FakeWeights& weights) const {
  SeenBatch last{0, 0, 0};
  for (const SeenBatch& b : weights.seen) {
    const int64_t size = std::max(last.end - last.begin, b.end - b.begin);
    if (b.epoch == last.epoch) {
      require(b.begin == last.end,
              fmt::format("epoch {}: {} follows {}", b.epoch, b.begin, last.end));
    } else {
      require(b.epoch == last.epoch + 1 && b.begin == 0, "an epoch does not begin at its begin");
      require(history_.images - last.end < size,
              fmt::format("epoch {} ended at image {}", last.epoch, last.end));
    }
    last = b;
  }
  require(weights.value ==
              replay(weights.seen, history_.images, history_.config.run.seed, history_.not_finite),
          "the weights are not those of the images that were seen");
}

void Simulation::check_metrics(const DiskView& view, const Outcome& outcome, bool ended) const {
  for (const char* event : {"train", "validation"}) {
    const auto found = view.logged.find(event);
    if (found == view.logged.end()) continue;
    const std::vector<int64_t>& steps = found->second;
    require(std::ranges::adjacent_find(steps, std::greater_equal<>()) == steps.end(),
            fmt::format("{} lines are not in order, each once", event));
  }
  if (!ended) return;
  const auto train = view.logged.find("train");
  const int64_t last = static_cast<int64_t>(outcome.to.seen.size());
  for (int64_t step = history_.config.log.every_steps; step <= last;
       step += history_.config.log.every_steps) {
    require(train != view.logged.end() && std::ranges::binary_search(train->second, step),
            fmt::format("the train line of step {} is lost", step));
  }
}

void Simulation::check_best(const DiskView& view) const {
  double best = -1;
  for (const SeenSave& save : view.saves) {
    if (save.top1) best = std::max(best, *save.top1);
  }
  const SeenSave* pointed = view.find(view.best);
  if (best < 0 || view.broken.contains(view.best)) return;  // it was damaged meanwhile
  require(pointed != nullptr, "best leads nowhere");
  require(pointed->top1 == best,
          fmt::format("best has {}, another has {}", pointed->top1.value_or(-1), best));
  require(*pointed->top1 == top1_of(pointed->weights), "best is not what was validated");
}

void Simulation::check(const Start& start, const DiskView& before, const Outcome& outcome) {
  const DiskView after = look();
  static constexpr int kCodes[] = {0, 64, 65, 73, 75, 76, kKilled};
  require(std::ranges::find(kCodes, outcome.code) != std::end(kCodes),
          fmt::format("exit code {}: {}", outcome.code, outcome.error));
  if (outcome.began && !(before.saves.empty() && before.broken.empty())) {
    require(expected_.has_value(), "it began though nothing could be read");
    require(outcome.from_step == expected_->step,
            fmt::format("went on from step {}, not {}", outcome.from_step, expected_->step));
    require(outcome.from == expected_->weights, "went on with other weights than were saved");
  }
  if (outcome.began) {
    check_walk(outcome.from);
    require(static_cast<int64_t>(outcome.from.seen.size()) == outcome.from_step,
            "steps and batches differ");
  }
  for (const SeenSave& save : after.saves) {
    check_walk(save.weights);
    require(static_cast<int64_t>(save.weights.seen.size()) == save.step,
            "steps and batches differ");
    const auto [known, is_new] = saved_.emplace(save.serial, save.weights);
    require(known->second == save.weights, fmt::format("serial {} was used twice", save.serial));
    require(!is_new || save.serial > before.last_serial,
            fmt::format("serial {} of {} is not new", save.serial, save.name));
  }
  const bool ended = outcome.code == 0 || outcome.code == 75;
  check_metrics(after, outcome, ended);
  if (outcome.flipped) {
    require(outcome.code == 76, "a flipped bit was not found");
    require(start.ranks < 3 || outcome.error.find(fmt::format("rank {} has other", start.rank)) !=
                                   std::string::npos,
            "the wrong rank is named");
  }
  if (!ended) return;
  check_walk(outcome.to);
  const SeenSave* newest = after.newest_of_line();
  require(newest != nullptr && newest->weights == outcome.to,
          "the newest save is not where the run ended");
  require(after.latest == newest->name, "latest leads elsewhere");
  check_best(after);
}

Outcome Simulation::play(const Start& start) {
  ++attempt_;
  meddle(start);
  const DiskView before = look();
  const SeenSave* newest = before.newest_of_line();
  if (resume_ != "auto") newest = before.find(resume_.substr(resume_.rfind('/') + 1));
  expected_ = newest ? std::optional(*newest) : std::nullopt;
  if (resume_ == "auto" && left_alone_) {
    require((newest ? newest->serial : 0) >= committed_,
            fmt::format("the save with serial {} is lost", committed_));
  }
  const auto content =
      newest || before.broken.empty() ? std::map<std::string, std::string>() : content_of(disk_);
  const Outcome outcome = carry_out(start);
  try {
    check(start, before, outcome);
    if (!content.empty()) {
      require(outcome.code != 0 && outcome.code != 75, "it began anew over damaged saves");
      const bool lost_power = outcome.code == kKilled && start.power;
      require(lost_power || content_of(disk_) == content, "damaged saves were touched");
      disk_.remove_all(history_.config.run.output);  // the user begins anew
      committed_ = 0;
      saved_.clear();
      damages_.clear();
    }
  } catch (Violation& violation) {
    throw Violation{fmt::format("start {} ({} ranks), which ended with {} {}: {}", attempt_,
                                start.ranks, outcome.code, outcome.error, violation.what)};
  }
  return outcome;
}

void Simulation::run() {
  for (const Start& start : history_.starts) play(start);
  for (int last = 0; last < kLastStarts; ++last) {
    Start start;
    start.ranks = 1 + static_cast<int>(random_() % 4);
    start.per_rank = 1 + static_cast<int64_t>(random_() % 4);
    if (start.ranks * start.per_rank > history_.images) start.per_rank = 1;
    start.save_lag = static_cast<int64_t>(random_() % 4);
    const Outcome outcome = play(start);
    if (outcome.code != 0) continue;
    require(outcome.to.seen.back().epoch == history_.config.run.epochs - 1,
            "it ended before its last epoch");
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
