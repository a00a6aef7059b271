// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/run_folder.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "launcher/text_file.h"

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

std::map<std::string, std::string> versions_of(const nlohmann::json& start) {
  std::map<std::string, std::string> versions;
  const auto found = start.find("versions");
  if (found == start.end() || !found->is_object()) return versions;
  for (const auto& [name, value] : found->items()) {
    if (value.is_string()) versions[name] = value.get<std::string>();
  }
  return versions;
}

void take(const nlohmann::json& event, RunMetrics& metrics) {
  const std::string kind = event.value("event", "");
  const Figures figures = figures_of(event);
  const auto step = figures.find("step");
  const int64_t at = step == figures.end() ? -1 : static_cast<int64_t>(step->second);
  if (kind == "start") {
    metrics.start = figures;
    metrics.versions = versions_of(event);
    metrics.exit_code.reset();
    metrics.paused = false;
    metrics.marks.push_back({std::max<int64_t>(at, 0), std::nullopt});
  } else if (kind == "end") {
    const auto code = figures.find("exit_code");
    if (code != figures.end()) metrics.exit_code = static_cast<int>(code->second);
    const auto total = figures.find("total_steps");
    metrics.paused =
        metrics.exit_code == 0 && total != figures.end() && static_cast<double>(at) < total->second;
    metrics.marks.push_back({std::max(at, metrics.last_step()), metrics.exit_code});
  } else if (kind == "train" && at >= 0) {
    metrics.train[at] = figures;
  } else if (kind == "validation" && at >= 0) {
    metrics.validation[at] = figures;
  } else if (kind == "ema_validation" && at >= 0) {  // follows the validation of its step
    for (const auto& [name, value] : figures) metrics.validation[at]["ema_" + name] = value;
  }
}

void take_line(std::string_view line, RunMetrics& metrics) {
  try {
    const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object()) return take(event, metrics);
  } catch (const nlohmann::json::exception&) {  // "event" is not text
  }
  if (!line.empty()) ++metrics.unreadable_lines;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// As the worker writes it. A line that is spelled otherwise is only read more often than need be.
bool is_train(std::string_view line) {
  return line.starts_with(R"({"event":"train",)");
}

// Whether line `i` of `count` is among `wanted` evenly spaced ones.
bool is_sampled(size_t i, size_t count, size_t wanted) {
  if (count <= wanted || i + 1 == count) return true;
  return i == 0 || i * wanted / count != (i - 1) * wanted / count;
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

std::optional<std::pair<double, int64_t>> RunMetrics::highest_figure(
    const std::string& name) const {
  std::optional<std::pair<double, int64_t>> highest;
  for (const auto& [step, figures] : validation) {
    const auto found = figures.find(name);
    if (found == figures.end() || (highest && found->second <= highest->first)) continue;
    highest = {found->second, step};
  }
  return highest;
}

RunMetrics read_metrics(const fs::path& run_folder, size_t max_train_lines) {
  const std::string text = read_file(run_folder / "metrics.jsonl");
  const std::vector<std::string_view> lines = split_lines(text);
  const auto trains = static_cast<size_t>(std::ranges::count_if(lines, is_train));
  RunMetrics metrics;
  size_t train = 0;
  for (const std::string_view line : lines) {
    if (is_train(line) && !is_sampled(train++, trains, max_train_lines)) continue;
    take_line(line, metrics);
  }
  return metrics;
}

bool has_finished(const fs::path& run_folder) {
  constexpr std::streamoff kTail = 4096;  // several lines of any kind
  std::ifstream stream(run_folder / "metrics.jsonl", std::ios::binary | std::ios::ate);
  if (!stream) return false;
  stream.seekg(std::max<std::streamoff>(0, stream.tellg() - kTail));
  const std::string tail{std::istreambuf_iterator<char>(stream), {}};
  RunMetrics metrics;
  for (const std::string_view line : split_lines(tail)) take_line(line, metrics);
  return metrics.finished();
}

}  // namespace resnext
