// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_journal.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

std::optional<double> score_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<double>());
}

Json to_json(const std::string& trial, const TrialRecord& record) {
  Json json = {{"trial", trial}, {"starts", record.starts}, {"seconds", record.seconds}};
  if (record.exit_code) json["exit_code"] = *record.exit_code;
  json["finished"] = record.finished;
  if (record.paused) json["paused"] = true;
  json["step"] = record.step;
  json["figures"] = record.figures;
  for (const auto& [epochs, score] : record.rungs) {
    json["rungs"].push_back({epochs, or_null(score)});
  }
  return json;
}

// Throws what nlohmann throws for a line of somebody else.
TrialRecord to_record(const Json& json) {
  TrialRecord record;
  record.starts = json.value("starts", 0);
  record.seconds = json.value("seconds", 0.0);
  if (json.contains("exit_code")) record.exit_code = json["exit_code"].get<int>();
  record.finished = json.value("finished", false);
  record.paused = json.value("paused", false);
  record.step = json.value("step", int64_t{0});
  record.figures = json.value("figures", Figures());
  for (const Json& rung : json.value("rungs", Json::array())) {
    record.rungs[rung.at(0).get<int64_t>()] = score_of(rung.at(1));
  }
  return record;
}

Json to_json(const RungDecision& decision) {
  Json json = {{"rung", decision.rung},     {"epochs", decision.epochs},
               {"metric", decision.metric}, {"goal", decision.goal == Goal::kMax ? "max" : "min"},
               {"keep", decision.keep},     {"scores", Json::object()},
               {"kept", decision.kept}};
  for (const auto& [group, score] : decision.scores) json["scores"][group] = or_null(score);
  return json;
}

// Throws as to_record().
RungDecision to_decision(const Json& json) {
  RungDecision decision;
  json.at("rung").get_to(decision.rung);
  json.at("epochs").get_to(decision.epochs);
  json.at("metric").get_to(decision.metric);
  decision.goal = json.at("goal") == "max" ? Goal::kMax : Goal::kMin;
  json.at("keep").get_to(decision.keep);
  json.at("kept").get_to(decision.kept);
  for (const auto& [group, score] : json.at("scores").items()) {
    decision.scores.emplace_back(group, score_of(score));
  }
  return decision;
}

// The metric of the last validation up to each rung that the run has come to.
std::map<int64_t, std::optional<double>> rungs_of(const RunMetrics& metrics, const StopRule& rule) {
  std::map<int64_t, std::optional<double>> rungs;
  for (const int64_t rung : rule.rungs) {
    bool reached = metrics.finished();
    std::optional<double> score;
    for (const auto& [step, figures] : metrics.validation) {
      const auto epoch = figures.find("epoch");
      if (epoch == figures.end()) continue;
      const auto epochs = static_cast<int64_t>(epoch->second) + 1;  // that were whole
      reached = reached || epochs >= rung;
      if (epochs > rung) continue;
      const auto found = figures.find(rule.metric);
      score = found == figures.end() ? std::nullopt : std::optional(found->second);
    }
    if (reached) rungs[rung] = score;
  }
  return rungs;
}

}  // namespace

TrialRecord with_results(TrialRecord record, const fs::path& run_folder, const StopRule& rule) {
  constexpr size_t kFewLines = 2;  // of a trainer's; the validations are what counts
  const RunMetrics metrics = read_metrics(run_folder, kFewLines);
  record.finished = metrics.finished();
  record.paused = metrics.paused;
  record.step = metrics.last_step();
  record.rungs = rungs_of(metrics, rule);
  record.figures.clear();
  if (metrics.validation.empty()) return record;
  record.figures = metrics.validation.rbegin()->second;
  if (const auto best = metrics.highest_figure("top1")) record.figures["best_top1"] = best->first;
  return record;
}

bool SweepJournal::read() {
  const std::string text = read_file(file_);
  const bool grown = text.size() > read_;
  std::istringstream stream(text.substr(grown ? read_ : text.size()));
  for (std::string line; std::getline(stream, line);) take(line);
  read_ = text.size();
  return grown;
}

void SweepJournal::take(const std::string& line) {
  try {
    const Json json = Json::parse(line);
    if (json.contains("trial")) {
      records_[json["trial"].get<std::string>()] = to_record(json);
    } else {
      const RungDecision decision = to_decision(json);
      decisions_[decision.rung] = decision;
    }
  } catch (const nlohmann::json::exception&) {  // torn
  }
}

TrialRecord SweepJournal::record(const std::string& trial) const {
  const auto found = records_.find(trial);
  return found == records_.end() ? TrialRecord{} : found->second;
}

const RungDecision* SweepJournal::decision(int rung) const {
  const auto found = decisions_.find(rung);
  return found == decisions_.end() ? nullptr : &found->second;
}

void SweepJournal::write(const std::string& trial, const TrialRecord& record) {
  records_[trial] = record;
  append_to_file(file_, to_json(trial, record).dump() + "\n");
}

void SweepJournal::write(const RungDecision& decision) {
  decisions_[decision.rung] = decision;
  append_to_file(file_, to_json(decision).dump() + "\n");
}

}  // namespace resnext
