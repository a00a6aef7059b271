// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/run_folder.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

namespace resnext {
namespace {

namespace fs = std::filesystem;

// "step-00000120" -> 120; -1 for anything else, such as "step-00000120.partial-77".
int64_t step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return -1;
  int64_t step = -1;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  return error == std::errc() && stop == end ? step : -1;
}

// Nothing for a folder without a whole manifest, which is written last.
CheckpointMark mark_of(const fs::path& folder) {
  const int64_t step = step_of(folder.filename().string());
  if (step < 0) return {};
  std::ifstream stream(folder / "manifest.json");
  const auto manifest = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_object()) return {};
  const auto serial = manifest.find("serial");
  const bool has_serial = serial != manifest.end() && serial->is_number_integer();
  return {has_serial ? serial->get<int64_t>() : step, step};
}

Figures figures_of(const nlohmann::json& event) {
  Figures figures;
  for (const auto& [name, value] : event.items()) {
    if (value.is_number()) figures[name] = value.get<double>();
  }
  return figures;
}

void take(const nlohmann::json& event, RunMetrics& metrics) {
  const std::string kind = event.value("event", "");
  const Figures figures = figures_of(event);
  const auto step = figures.find("step");
  const int64_t at = step == figures.end() ? -1 : static_cast<int64_t>(step->second);
  if (kind == "start") {
    metrics.start = figures;
    metrics.exit_code.reset();
  } else if (kind == "end") {
    const auto code = figures.find("exit_code");
    if (code != figures.end()) metrics.exit_code = static_cast<int>(code->second);
  } else if (kind == "train" && at >= 0) {
    metrics.train[at] = figures;
  } else if (kind == "validation" && at >= 0) {
    metrics.validation[at] = figures;
  }
}

}  // namespace

CheckpointMark newest_checkpoint(const fs::path& run_folder) {
  CheckpointMark newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_folder / "checkpoints", error)) {
    const CheckpointMark mark = mark_of(entry.path());
    if (mark.serial > newest.serial) newest = mark;
  }
  return newest;
}

std::optional<double> RunMetrics::final_figure(const std::string& name) const {
  if (validation.empty()) return std::nullopt;
  const Figures& last = validation.rbegin()->second;
  const auto found = last.find(name);
  if (found == last.end()) return std::nullopt;
  return found->second;
}

RunMetrics read_metrics(const fs::path& run_folder) {
  RunMetrics metrics;
  std::ifstream stream(run_folder / "metrics.jsonl");
  for (std::string line; std::getline(stream, line);) {
    try {
      const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (event.is_object()) {
        take(event, metrics);
        continue;
      }
    } catch (const nlohmann::json::exception&) {  // "event" is not text
    }
    if (!line.empty()) ++metrics.unreadable_lines;
  }
  return metrics;
}

}  // namespace resnext
