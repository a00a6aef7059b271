// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/simulated_start.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "comm/common/error.h"
#include "tests/simulation/disk_view.h"
#include "tests/simulation/host_files.h"
#include "tests/support/thread_communicator.h"
#include "worker/state/agreement.h"
#include "worker/training_run.h"

namespace resnext::test {
namespace {

// ---- what a start is made of ----------------------------------------------------------------

int code_of(const std::exception_ptr& thrown, Outcome& outcome) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Killed&) {
    return kKilledCode;
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
    if (mine == kKilledCode) return mine;
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
  shape.batch.global = start.global_batch();
  shape.cost.parameters = 1;
  return shape;
}

OwnerOptions owner_of(World& world, int process) {
  OwnerOptions options;
  options.heart = false;
  options.lock.self = [process] {
    LockOwner owner;
    owner.program = "a rank";
    owner.pid = process;
    owner.token = fmt::format("{:08}", process);
    return owner;
  };
  options.lock.liveness = [&world](const LockOwner& owner) {
    return owner.pid == world.attempt ? Liveness::kAlive : Liveness::kDead;
  };
  options.lock.now = [&world] { return world.shared.now_s(); };
  options.lock.sleep = [&world](double seconds) { world.shared.advance(seconds); };
  options.lock.guard = [](const std::filesystem::path&) { return std::shared_ptr<void>(); };
  return options;
}

// An execution's own name of a file, "config.yaml.partial-HOST-PID", is left out: the text repeats.
std::string without_process(std::string text) {
  static constexpr std::string_view kEnd = ".partial-";
  for (size_t at = text.find(kEnd); at != text.npos; at = text.find(kEnd, at + 1)) {
    const size_t begin = at + kEnd.size();
    text.erase(begin, text.find_first_of(":/ ", begin) - begin);
  }
  return text;
}

// ---- one rank -------------------------------------------------------------------------------

class Rank {
 public:
  Rank(World& world, const History& history, const Start& start, const RunConfig& config,
       bool again, Communicator& communicator, HostFiles& files, Outcome& outcome)
      : world_(world),
        history_(history),
        start_(start),
        config_(config),
        again_(again),
        communicator_(communicator),
        files_(files),
        outcome_(outcome) {}

  void run();

 private:
  bool leads() const { return communicator_.rank() == 0; }
  bool meets(Mishap mishap) const {
    return start_.mishap == mishap && communicator_.rank() == start_.rank;
  }
  FakeOptions fake_options();
  std::unique_ptr<Learner> make(const Progress* progress, const SavedState* state);
  void on_step(FakeWeights& weights);
  void on_validation();
  BackgroundSave::Runner runner();
  void finish_job();
  void start_second_job();
  [[noreturn]] void die() {
    files_.kill();
    throw Killed();
  }

  World& world_;
  const History& history_;
  const Start& start_;
  const RunConfig& config_;
  const bool again_;
  Communicator& communicator_;
  HostFiles& files_;
  Outcome& outcome_;
  const FakeLearner* learner_ = nullptr;
  int64_t steps_ = 0;          // of this start
  std::function<void()> job_;  // that is being written
  int64_t lag_ = 0;            // for so many steps more
};

FakeOptions Rank::fake_options() {
  FakeOptions fake;
  fake.images = start_.images;
  fake.global_batch = start_.global_batch();
  fake.order = {start_.seed};
  fake.seed = history_.seed;
  fake.steps_ahead = history_.steps_ahead;
  fake.not_finite = history_.not_finite;
  fake.on_step = [this](int64_t, FakeWeights& weights) { on_step(weights); };
  fake.on_validation = [this] { on_validation(); };
  return fake;
}

std::unique_ptr<Learner> Rank::make(const Progress* progress, const SavedState* state) {
  FakeWeights weights;
  if (leads() && state) weights = to_weights(state->files.at("model.pt"));
  weights = to_weights(broadcast_text(communicator_, to_text(weights)));
  if (leads()) {
    outcome_.began = true;
    outcome_.from_step = progress ? progress->step : 0;
    outcome_.from = weights;
  }
  auto made = std::make_unique<FakeLearner>(fake_options(), communicator_, weights);
  learner_ = made.get();
  return made;
}

void Rank::on_step(FakeWeights& weights) {
  ++steps_;
  if (leads()) outcome_.steps = steps_;
  const bool now = steps_ == start_.at;
  if (now && meets(Mishap::kKillRank)) die();
  if (now && meets(Mishap::kFlipWeights) && start_.ranks > 1) {
    weights.value ^= uint64_t{1} << (start_.draw % 64);
    outcome_.flipped = true;
  }
  if (--lag_ <= 0) finish_job();
  if (leads() && steps_ == 2) start_second_job();
}

void Rank::on_validation() {
  if (leads()) {
    outcome_.validating = static_cast<int64_t>(learner_->weights().seen.size());
    outcome_.at_epoch_end = learner_->position().images == 0;
    if (start_.mishap == Mishap::kKillValidation) die();
  }
  if (meets(Mishap::kBadValidation)) {
    throw DataError("validation", "an image is damaged", "repair it");
  }
}

// Without a lag a save is written at once.
BackgroundSave::Runner Rank::runner() {
  return {[this](std::function<void()> job) {
            job_ = std::move(job);
            lag_ = start_.save_lag;
            if (lag_ == 0) finish_job();
          },
          [this] { finish_job(); }};
}

void Rank::finish_job() {
  if (!job_) return;
  std::exchange(job_, {})();
  if (files_.shared().killed()) throw Killed();
  if (!leads()) return;
  const DiskView view = look_at(world_.shared, config_.run.output, {});
  for (const SeenSave& save : view.saves) world_.saved.emplace(save.serial, save.weights);
  if (const SeenSave* newest = view.find(view.latest)) {
    world_.committed = std::max(world_.committed, newest->serial);
  }
}

// It is refused, and changes nothing.
void Rank::start_second_job() {
  SimulatedFiles files(world_.shared, history_.seed);
  const auto before = content_of(world_.shared);
  try {
    const RunOwner second(files, config_.run.output, owner_of(world_, 1000 + world_.attempt));
  } catch (const ConfigError&) {
    if (content_of(world_.shared) != before) {
      throw std::runtime_error("a second start has changed files");
    }
    return;
  }
  throw std::runtime_error("a second start was not refused");
}

void Rank::run() {
  const int rank = communicator_.rank();
  const bool first_of_host = rank == 0 || host_of(start_, rank) != host_of(start_, rank - 1);
  const RunShape shape = shape_of(config_, start_);
  const DataRecord data = data_of(start_.images);
  const auto stop = [this] { return meets(Mishap::kStop) && steps_ >= start_.at; };
  TrainingRun run(
      config_, shape, data, communicator_,
      Surroundings{files_, first_of_host, again_, stop, owner_of(world_, world_.attempt), runner()},
      [this](Meters&, const Progress* progress, const SavedState* state) {
        return make(progress, state);
      },
      false);
  const ExitCode code = run.run();
  if (!leads()) return;
  outcome_.code = static_cast<int>(code);
  outcome_.to = learner_->weights();
}

// ---- all of them ----------------------------------------------------------------------------

std::vector<std::unique_ptr<HostFiles>> files_of(World& world, const History& history,
                                                 const Start& start) {
  std::vector<std::unique_ptr<HostFiles>> files;
  for (int rank = 0; rank < start.ranks; ++rank) {
    const auto seed = history.seed * 1000 + static_cast<uint64_t>(world.attempt * 10 + rank);
    SimulatedDisk& host = *world.hosts[static_cast<size_t>(host_of(start, rank))];
    files.push_back(std::make_unique<HostFiles>(world.shared, host, kLocalFolder, seed));
  }
  return files;
}

void prepare(const Start& start, World& world, SimulatedFiles& files) {
  const auto at = static_cast<uint64_t>(start.at);
  if (start.mishap == Mishap::kKillFiles) files.kill_at(at);
  if (start.mishap == Mishap::kFailCall) files.fail_at(at, start.error);
  if (start.mishap == Mishap::kFlakyFiles)
    files.set_faults({.fails = 0.5 / static_cast<double>(at)});
  if (start.mishap == Mishap::kFullDisk) world.shared.limit(world.shared.used() + 40 * at);
}

}  // namespace

World::World(uint64_t seed) : shared(seed) {
  for (int host = 0; host < kHosts; ++host) hosts.push_back(std::make_unique<SimulatedDisk>());
}

std::map<std::string, std::string> content_of(const SimulatedDisk& disk) {
  auto content = disk.snapshot();
  std::erase_if(content,
                [](const auto& file) { return file.first.find(".lock") != std::string::npos; });
  return content;
}

int host_of(const Start& start, int rank) {
  return (start.first_host + rank / start.host_ranks) % kHosts;
}

Outcome carry_out(World& world, const History& history, const Start& start, const RunConfig& config,
                  bool again) {
  Outcome outcome;
  const auto files = files_of(world, history, start);
  prepare(start, world, files[0]->shared());
  const auto thrown = outcomes_of_ranks(start.ranks, [&](Communicator& communicator) {
    Rank(world, history, start, config, again, communicator,
         *files[static_cast<size_t>(communicator.rank())], outcome)
        .run();
  });
  world.shared.limit(UINT64_MAX);
  if (const int code = first_cause(thrown, outcome); code != 0) outcome.code = code;
  outcome.error = without_process(outcome.error);
  if (outcome.code == kKilledCode && start.power) {
    world.shared.lose_power();
    for (auto& host : world.hosts) host = std::make_unique<SimulatedDisk>();
  }
  return outcome;
}

}  // namespace resnext::test
