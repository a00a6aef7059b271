// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/start_point.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "worker/state/agreement.h"

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
  start.progress.validated = json.at("validated");
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

}  // namespace

StartPoint agree_on_start(Communicator& communicator, RunStore* store, const RunOptions& run,
                          const DataRecord& data, bool again) {
  std::optional<SavedState> state;
  StartPoint start = to_start_point(decide(communicator, [&] {
    state = store->find(run.resume, again);
    if (state) check_data(*state, data, run.accept_new_data);
    return to_text(state);
  }));
  start.state = std::move(state);
  return start;
}

StartPoint agree_on_weights(Communicator& communicator, RunStore* store, const RunOptions& run) {
  std::optional<SavedState> state;
  StartPoint start = to_start_point(decide(communicator, [&] {
    state = store->find(run.resume, /*again=*/false);
    return to_text(state);
  }));
  start.state = std::move(state);
  return start;
}

}  // namespace resnext
