// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report_data.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "configs/key_value.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

using Json = nlohmann::ordered_json;
using Events = std::map<int64_t, Figures>;

constexpr size_t kAllPoints = 60'000;  // of all runs together: some 2 MB
constexpr size_t kMostPoints = 1'000;  // of a run: more than a screen has pixels for
constexpr size_t kFewestPoints = 40;
constexpr const char* kPhases[] = {"data_wait_ms", "forward_ms", "backward_ms", "exposed_comm_ms",
                                   "optimizer_ms"};

// Five significant digits; not finite becomes null.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.5g}", value).c_str(), nullptr);
}

Json get(const Figures& figures, const std::string& name) {
  const auto found = figures.find(name);
  return found == figures.end() ? Json() : rounded(found->second);
}

// At most about `count` of the events, the last among them.
std::vector<const Events::value_type*> thin(const Events& events, size_t count) {
  std::vector<const Events::value_type*> kept;
  size_t i = 0;
  for (const auto& event : events) {
    const bool last = ++i == events.size();
    if (last || events.size() <= count ||
        i * count / events.size() != (i - 1) * count / events.size()) {
      kept.push_back(&event);
    }
  }
  return kept;
}

// Columns: "step" and those of `names` that any event has.
Json columns_of(const Events& events, std::initializer_list<const char*> names, size_t count) {
  const auto kept = thin(events, count);
  Json columns = {{"step", Json::array()}};
  for (const auto* event : kept) columns["step"].push_back(event->first);
  for (const char* name : names) {
    Json column = Json::array();
    bool any = false;
    for (const auto* event : kept) {
      column.push_back(get(event->second, name));
      any = any || !column.back().is_null();
    }
    if (any) columns[name] = std::move(column);
  }
  return columns;
}

Json last_figures(const RunMetrics& metrics) {
  Json last = Json::object();
  if (!metrics.train.empty()) {
    const Figures& figures = metrics.train.rbegin()->second;
    last["step"] = metrics.last_step();
    last["train_loss"] = get(figures, "loss");
    last["images_per_second"] = get(figures, "images_per_second");
  }
  for (const char* name : {"top1", "top5", "ema_top1"}) {
    if (const auto figure = metrics.final_figure(name)) last[name] = rounded(*figure);
  }
  return last;
}

Json marks_of(const RunMetrics& metrics) {
  Json marks = Json::array();
  for (const RunMark& mark : metrics.marks) {
    marks.push_back({mark.step, mark.exit_code ? Json(*mark.exit_code) : Json()});
  }
  return marks;
}

Json phases_of(const RunMetrics& metrics) {
  Json phases = Json::object();
  for (const char* phase : kPhases) {
    if (const auto ms = mean_phase(metrics, phase)) phases[phase] = rounded(*ms);
  }
  return phases.empty() ? Json() : phases;
}

std::map<std::string, std::string> values_of(const RunConfig& config) {
  std::map<std::string, std::string> values;
  RunConfig copy = config;
  for (const RunKey& key : run_keys()) values[std::string(key.name)] = format_value(key, copy);
  return values;
}

using Settings = std::vector<std::map<std::string, std::string>>;  // of each run; empty: unknown

Settings settings_of(const std::vector<ReportRun>& runs) {
  Settings settings;
  for (const ReportRun& run : runs) {
    settings.push_back(run.config ? values_of(*run.config) : Settings::value_type{});
  }
  return settings;
}

std::vector<std::string> differing(const Settings& settings) {
  std::vector<std::string> keys;
  for (const RunKey& key : run_keys()) {
    const std::string name(key.name);
    if (name == "run.name" || name == "run.output" || name == "run.pause_epoch") continue;
    std::set<std::string> values;
    for (const auto& run : settings) {
      if (!run.empty()) values.insert(run.at(name));
    }
    if (values.size() > 1) keys.push_back(name);
  }
  return keys;
}

Json to_json(const ReportRun& run, const Settings::value_type& settings,
             const std::vector<std::string>& keys, size_t points) {
  const RunMetrics& m = run.metrics;
  Json json = {{"name", run.name}, {"folder", run.folder.string()}, {"state", state_of(run)}};
  std::string group;  // all settings but the seed
  json["keys"] = Json::object();
  for (const std::string& key : keys) {
    if (settings.empty()) continue;
    json["keys"][key] = settings.at(key);
    if (key != "run.seed") group += key + "=" + settings.at(key) + ";";
  }
  json["group"] = settings.empty() ? run.folder.string() : group;
  if (run.config) json["cardinality"] = run.config->model.cardinality;
  for (const char* figure :
       {"parameters", "gmac", "world_size", "global_batch", "steps_per_epoch"}) {
    if (const auto found = m.start.find(figure); found != m.start.end()) {
      json[figure] = found->second;
    }
  }
  if (const auto best = m.highest_figure("top1")) {
    json["best"] = {rounded(best->first), best->second};
  }
  json["last"] = last_figures(m);
  json["marks"] = marks_of(m);
  json["phases"] = phases_of(m);
  json["train"] = columns_of(m.train, {"loss", "lr", "images_per_second"}, points);
  for (const char* name : {"loss", "lr", "images_per_second"}) {
    if (!json["train"].contains(name)) json["train"][name] = Json::array();
  }
  json["validation"] = columns_of(m.validation, {"loss", "top1", "ema_top1"}, points);
  return json;
}

}  // namespace

std::vector<std::string> differing_keys(const std::vector<ReportRun>& runs) {
  return differing(settings_of(runs));
}

std::string report_data(const std::vector<ReportRun>& runs, const std::string& title,
                        const std::string& about) {
  const Settings settings = settings_of(runs);
  const std::vector<std::string> keys = differing(settings);
  Json json = {{"title", title}, {"about", about}, {"keys", keys}, {"runs", Json::array()}};
  for (size_t i = 0; i < runs.size(); ++i) {
    json["runs"].push_back(to_json(runs[i], settings[i], keys, points_of_a_run(runs.size())));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

size_t points_of_a_run(size_t runs) {
  return std::clamp(kAllPoints / std::max<size_t>(1, runs), kFewestPoints, kMostPoints);
}

std::optional<double> mean_phase(const RunMetrics& metrics, const std::string& phase) {
  double sum = 0;
  int64_t count = 0;
  for (auto it = metrics.train.begin(); it != metrics.train.end(); ++it) {
    if (it == metrics.train.begin() && metrics.train.size() > 1) continue;
    const auto ms = it->second.find(phase);
    if (ms == it->second.end()) continue;
    sum += ms->second;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

std::string state_of(const ReportRun& run) {
  const RunMetrics& metrics = run.metrics;
  if (metrics.finished()) return "finished";
  if (metrics.paused && run.stopped_at > 0) {
    return fmt::format("stopped at rung {}", run.stopped_at);
  }
  if (metrics.paused) return "paused";
  if (metrics.exit_code) return fmt::format("ended with {}", *metrics.exit_code);
  return metrics.train.empty() ? "no steps yet" : "unfinished";
}

}  // namespace resnext
