// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_snapshot.h"

#include <spdlog/fmt/fmt.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Trial read_trial(const Json& json, const std::string& output, int ranks, bool whole) {
  const auto name = json.at("name").get<std::string>();
  auto values = json.at("values").get<decltype(Trial::values)>();
  Trial trial;
  if (whole) {
    const fs::path config = fs::path(output) / name / "trial.yaml";
    trial = make_trial(name, std::move(values), read_run_config(config.string(), {}), ranks);
  } else {
    trial.name = name;
    trial.values = std::move(values);
    json.at("parameters").get_to(trial.cost.parameters);
    json.at("gmac").get_to(trial.cost.gmac);
  }
  trial.group = json.value("group", name);
  return trial;
}

Goal to_goal(const Json& json) {
  return json == "max" ? Goal::kMax : Goal::kMin;
}

const char* name_of(Goal goal) {
  return goal == Goal::kMax ? "max" : "min";
}

StopRule read_rule(const Json& json) {
  StopRule rule;
  json.at("metric").get_to(rule.metric);
  rule.goal = to_goal(json.at("goal"));
  json.at("rungs").get_to(rule.rungs);
  json.at("keep").get_to(rule.keep);
  return rule;
}

SweepSnapshot parse(const Json& json, int ranks, int only) {
  SweepSnapshot snapshot;
  SweepFile& sweep = snapshot.sweep;
  json.at("sweep").get_to(sweep.name);
  json.at("file").get_to(sweep.path);
  json.at("output").get_to(sweep.output);
  json.at("metric").get_to(sweep.metric);
  sweep.goal = to_goal(json.at("goal"));
  if (json.contains("stop")) sweep.stop = read_rule(json["stop"]);
  for (const Json& trial : json.at("trials")) {
    const bool whole = static_cast<int>(snapshot.trials.size()) == only;
    snapshot.trials.push_back(read_trial(trial, sweep.output, ranks, whole));
  }
  return snapshot;
}

}  // namespace

std::string snapshot_text(const SweepFile& sweep, const std::vector<Trial>& trials) {
  Json json = {{"sweep", sweep.name},
               {"file", sweep.path},
               {"output", sweep.output},
               {"metric", sweep.metric},
               {"goal", name_of(sweep.goal)}};
  const StopRule& stop = sweep.stop;
  if (!stop.rungs.empty()) {
    json["stop"] = {{"metric", stop.metric},
                    {"goal", name_of(stop.goal)},
                    {"rungs", stop.rungs},
                    {"keep", stop.keep}};
  }
  json["trials"] = Json::array();
  for (const Trial& trial : trials) {
    json["trials"].push_back({{"name", trial.name},
                              {"group", trial.group},
                              {"values", trial.values},
                              {"parameters", trial.cost.parameters},
                              {"gmac", trial.cost.gmac}});
  }
  return json.dump(1) + "\n";
}

fs::path snapshot_path(const SweepFile& sweep, const std::vector<Trial>& trials) {
  const size_t hash = std::hash<std::string>()(snapshot_text(sweep, trials));
  const fs::path file = fs::path(sweep.output) / fmt::format("snapshot-{:016x}.json", hash);
  return fs::absolute(file).lexically_normal();
}

void write_snapshot(const SweepFile& sweep, const std::vector<Trial>& trials) {
  write_file(snapshot_path(sweep, trials), snapshot_text(sweep, trials));
}

bool is_snapshot(const fs::path& file) {
  return file.filename().string().starts_with("snapshot-") && file.extension() == ".json";
}

SweepSnapshot read_snapshot(const fs::path& file, int ranks, int only) {
  try {
    return parse(Json::parse(read_file(file)), ranks, only);
  } catch (const nlohmann::json::exception&) {
    throw ConfigError(file.string(), "is missing or not the snapshot of a sweep",
                      "submit the sweep again with --slurm");
  }
}

}  // namespace resnext
