// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/start_point.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "worker/state/agreement.h"
#include "worker/state/manifest.h"

namespace resnext {
namespace {

using Json = nlohmann::ordered_json;

std::string to_text(const std::optional<SavedState>& state) {
  if (!state) return "";
  Json json = {{"progress", to_json(state->manifest.progress)},
               {"validated", state->validation.has_value()}};
  if (state->manifest.data) json["data"] = to_json(*state->manifest.data);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

StartPoint to_start_point(const std::string& text) {
  StartPoint start;
  if (text.empty()) return start;
  const Json json = Json::parse(text);
  start.resumed = true;
  start.progress = to_progress(json.at("progress"));
  start.progress.validated = start.progress.validated || json.at("validated").get<bool>();
  if (json.contains("data")) start.data = to_data_record(json.at("data"));
  return start;
}

void check_data(const SavedState& state, const DataRecord& now, bool accept) {
  if (!state.manifest.data) return;
  const std::string changed = difference(*state.manifest.data, now);
  if (changed.empty()) return;
  if (accept) return spdlog::warn("the data have changed since the checkpoint: {}", changed);
  throw DataError(state.folder.string(), "the data have changed since this checkpoint: " + changed,
                  "name the data that it was trained with, or set run.accept_new_data=true");
}

// Steps of the newest snapshot of each rank, -1 where there is none.
std::vector<int64_t> snapshot_steps(Communicator& communicator,
                                    const std::optional<SavedState>& mine) {
  int64_t step = mine ? mine->manifest.progress.step : -1;
  std::vector<int64_t> all(static_cast<size_t>(communicator.size()));
  communicator.all_gather({&step, 1, DataType::kInt64}, {all.data(), all.size(), DataType::kInt64});
  return all;
}

// Root's state for rank 0; the others only pass it on.
std::optional<SavedState> bring(Communicator& communicator, std::optional<SavedState> state,
                                int root) {
  const bool mine = communicator.rank() == root;
  SavedState here;
  here.folder = broadcast_text(communicator, mine ? state->folder.string() : "", root);
  const std::string manifest =
      broadcast_text(communicator, mine ? to_text(state->manifest) : "", root);
  here.manifest = to_manifest(manifest, here.folder.string());
  for (const auto& [name, record] : here.manifest.files) {
    std::string bytes =
        broadcast_text(communicator, mine ? std::move(state->files.at(name)) : "", root);
    if (communicator.rank() == 0) here.files[name] = std::move(bytes);
  }
  return here;
}

// A newer snapshot of any host takes the place of the save.
void look_for_snapshots(Communicator& communicator, const LocalSnapshots* local,
                        const RunIdentity& identity, StartPoint& start) {
  const int64_t saved = start.resumed ? start.progress.step : -1;
  std::optional<SavedState> mine;
  if (local != nullptr) mine = local->newest(identity, saved);
  const std::vector<int64_t> steps = snapshot_steps(communicator, mine);
  const auto newest = std::ranges::max_element(steps);
  if (*newest <= saved) return;
  const auto root = static_cast<int>(newest - steps.begin());
  std::optional<SavedState> state = bring(communicator, std::move(mine), root);
  start.resumed = start.from_snapshot = true;
  start.progress = state->manifest.progress;
  start.data = state->manifest.data;
  if (communicator.rank() != 0) return;
  spdlog::info("rank {}'s host has a newer snapshot, of step {}", root, *newest);
  start.state = std::move(state);
}

// What rank 0 finds; `check` may refuse it there.
StartPoint find_save(Communicator& communicator, RunStore* store, const std::string& resume,
                     bool again, const std::function<void(const SavedState&)>& check) {
  std::optional<SavedState> state;
  StartPoint start = to_start_point(decide(communicator, [&] {
    state = store->find(resume, again);
    if (state) check(*state);
    return to_text(state);
  }));
  start.state = std::move(state);
  return start;
}

}  // namespace

StartPoint agree_on_start(Communicator& communicator, RunStore* store, const LocalSnapshots* local,
                          const RunOptions& run, const DataRecord& data, bool again) {
  const auto check = [&](const SavedState& state) { check_data(state, data, run.accept_new_data); };
  StartPoint start = find_save(communicator, store, run.resume, again, check);
  if (start.state) {
    start.saved =
        SavedState{start.state->folder, start.state->manifest, start.state->validation, {}};
  }
  if (run.resume != "auto") return start;
  const RunIdentity identity =
      to_identity(decide(communicator, [&] { return to_text(store->present(start.saved)); }));
  look_for_snapshots(communicator, local, identity, start);
  on_rank_0(communicator, [&] {
    if (start.from_snapshot) check(*start.state);
  });
  return start;
}

StartPoint agree_on_weights(Communicator& communicator, RunStore* store, const RunOptions& run) {
  return find_save(communicator, store, run.resume, /*again=*/false, [](const SavedState&) {});
}

}  // namespace resnext
