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

std::string to_text(const SweepFile& sweep, const std::vector<Trial>& trials) {
  Json json = {{"sweep", sweep.name},
               {"file", sweep.path},
               {"output", sweep.output},
               {"metric", sweep.metric},
               {"goal", sweep.goal == Goal::kMax ? "max" : "min"}};
  json["trials"] = Json::array();
  for (const Trial& trial : trials) {
    json["trials"].push_back({{"name", trial.name}, {"values", trial.values}});
  }
  return json.dump(1) + "\n";
}

SweepSnapshot parse(const Json& json, int ranks) {
  SweepSnapshot snapshot;
  SweepFile& sweep = snapshot.sweep;
  json.at("sweep").get_to(sweep.name);
  json.at("file").get_to(sweep.path);
  json.at("output").get_to(sweep.output);
  json.at("metric").get_to(sweep.metric);
  sweep.goal = json.at("goal") == "max" ? Goal::kMax : Goal::kMin;
  for (const Json& trial : json.at("trials")) {
    const auto name = trial.at("name").get<std::string>();
    const fs::path config = fs::path(sweep.output) / name / "trial.yaml";
    snapshot.trials.push_back(make_trial(name, trial.at("values").get<decltype(Trial::values)>(),
                                         read_run_config(config.string(), {}), ranks));
  }
  return snapshot;
}

}  // namespace

fs::path snapshot_path(const SweepFile& sweep, const std::vector<Trial>& trials) {
  const size_t hash = std::hash<std::string>()(to_text(sweep, trials));
  const fs::path file = fs::path(sweep.output) / fmt::format("snapshot-{:016x}.json", hash);
  return fs::absolute(file).lexically_normal();
}

void write_snapshot(const SweepFile& sweep, const std::vector<Trial>& trials) {
  write_file(snapshot_path(sweep, trials), to_text(sweep, trials));
}

bool is_snapshot(const fs::path& file) {
  return file.filename().string().starts_with("snapshot-") && file.extension() == ".json";
}

SweepSnapshot read_snapshot(const fs::path& file, int ranks) {
  try {
    return parse(Json::parse(read_file(file)), ranks);
  } catch (const nlohmann::json::exception&) {
    throw ConfigError(file.string(), "is missing or not the snapshot of a sweep",
                      "submit the sweep again with --slurm");
  }
}

}  // namespace resnext
