// SPDX-License-Identifier: BSD-3-Clause
#include "worker/training_run.h"

#include <chrono>
#include <future>
#include <nlohmann/json.hpp>

#include "comm/watch/watch.h"
#include "worker/state/agreement.h"

namespace resnext {

TrainingRun::TrainingRun(const RunConfig& config, const RunShape& shape, const DataRecord& data,
                         Communicator& communicator, const Surroundings& around,
                         const MakeLearner& make, bool on_gpu)
    : config_(config), communicator_(communicator), around_(around) {
  take_folder();
  if (communicator.rank() == 0) {
    store_.emplace(around.files, config.run.output, config.checkpoint.keep);
  }
  if (around.leads && !config.checkpoint.local.empty()) {
    snapshots_.emplace(around.files, config.checkpoint.local, config.run.output);
  }
  start_ = agree_on_start(communicator, store(), snapshots(), config.run, data, around.again);
  if (config.log.timeline) timeline_.emplace(config.run.output, communicator.rank());
  meters_ = Meters(timeline_ ? &*timeline_ : nullptr, on_gpu);
  learner_ = make(meters_, start_.resumed ? &start_.progress : nullptr,
                  start_.state ? &*start_.state : nullptr);
  check_agreement(communicator,
                  {{"progress", to_json(start_.progress).dump(1), ExitCode::kInternal, ""}});
  const RunIdentity identity = create_folder(shape);
  watch::set_flight_folder((std::filesystem::path(config.run.output) / "flight").string());
  start_.state.reset();  // its memory
  trainer_.emplace(config,
                   TrainerParts{communicator, *learner_, meters_, shape.batch.global, data,
                                identity, snapshots(), owner_.get(), store(), log(),
                                around.stop_signalled, around.save_runner},
                   start_.progress, !start_.from_snapshot);
}

// Before anybody looks into it. Whether an owner elsewhere still lives may take a while to see.
void TrainingRun::take_folder() {
  std::future<std::unique_ptr<RunOwner>> taking;
  if (communicator_.rank() == 0) {
    const auto policy = around_.owner.heart ? std::launch::async : std::launch::deferred;
    taking = std::async(policy, [this] {
      return std::make_unique<RunOwner>(around_.files, config_.run.output, around_.owner);
    });
  }
  wait_together(communicator_, [&](double seconds) {
    return taking.wait_for(std::chrono::duration<double>(seconds)) != std::future_status::timeout;
  });
  on_rank_0(communicator_, [&] { owner_ = taking.get(); });
}

// Last, once nothing else can be refused.
RunIdentity TrainingRun::create_folder(const RunShape& shape) {
  const std::string identity = decide(communicator_, [&] {
    store_->begin(start_.saved, lost());
    log_.emplace(config_, shape, around_.files,
                 KeptLines{start_.progress.step, start_.progress.validated, store_->left_a_line()});
    return to_text(store_->identity());
  });
  return to_identity(identity);
}

// A run of which only a snapshot is left.
RunIdentity TrainingRun::lost() const {
  if (!start_.from_snapshot || start_.saved) return {};
  return {start_.state->manifest.run, start_.state->manifest.lineage};
}

}  // namespace resnext
