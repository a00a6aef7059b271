// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/scale_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "comm/common/error.h"
#include "launcher/scale_model.h"

namespace resnext {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const size_t half = values.size() / 2;
  std::ranges::sort(values);
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The standard deviation over the mean.
double relative_deviation(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return count > 1 && mean > 0 ? std::sqrt(squares / (count - 1)) / mean : 0;
}

double figure(const Figures& figures, const char* name) {
  const auto found = figures.find(name);
  return found == figures.end() ? 0 : found->second;
}

// The figures by name, for JSON both ways.
constexpr std::pair<const char*, double ScalePoint::*> kFigures[] = {
    {"images_per_second", &ScalePoint::images_per_second},
    {"step_ms", &ScalePoint::step_ms},
    {"data_wait_ms", &ScalePoint::data_wait_ms},
    {"forward_ms", &ScalePoint::forward_ms},
    {"backward_ms", &ScalePoint::backward_ms},
    {"exposed_comm_ms", &ScalePoint::exposed_comm_ms},
    {"optimizer_ms", &ScalePoint::optimizer_ms},
    {"spread", &ScalePoint::spread},
    {"all_reduce_25_mib_ms", &ScalePoint::all_reduce_ms}};

double bus_bandwidth(const ScalePoint& point) {
  return bus_gb_per_s(kAllReduceBytes, point.ranks, point.all_reduce_ms);
}

std::string number(double value) {
  return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

}  // namespace

ScalePoint measured_point(const RunMetrics& metrics, int ranks, int64_t warmup) {
  const double batch = figure(metrics.start, "global_batch");
  std::vector<double> steps;
  std::map<std::string, std::vector<double>> columns;
  for (const auto& [step, figures] : metrics.train) {
    if (step <= warmup) continue;
    for (const auto& [name, value] : figures) columns[name].push_back(value);
    steps.push_back(1000 * batch / figure(figures, "images_per_second"));
  }
  if (steps.empty()) {
    throw ConfigError("--steps",
                      fmt::format("the run on {} ranks has logged no step that counts", ranks),
                      "give more steps, or more data.synthetic.images");
  }
  const auto of = [&](const char* name) { return median(columns[name]); };
  return {ranks,
          1000 * batch / median(steps),
          median(steps),
          of("data_wait_ms"),
          of("forward_ms"),
          of("backward_ms"),
          of("exposed_comm_ms"),
          of("optimizer_ms"),
          relative_deviation(steps),
          0};
}

double all_reduce_ms_of(const std::string& output) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("bytes") || !json.contains("ms")) continue;
    if (json.at("bytes") == kAllReduceBytes) return json.at("ms").get<double>();
  }
  return 0;
}

double efficiency(const ScalePoint& point, const ScalePoint& first) {
  return 100 * point.images_per_second / point.ranks / (first.images_per_second / first.ranks);
}

std::vector<Row> to_rows(const std::vector<ScalePoint>& points) {
  std::vector<Row> rows = {{"ranks", "img/s", "efficiency %", "step ms", "data wait ms",
                            "exposed comm ms", "all_reduce 25 MiB ms", "bus GB/s"}};
  for (const ScalePoint& p : points) {
    const bool summed = p.all_reduce_ms > 0;
    rows.push_back({std::to_string(p.ranks), number(p.images_per_second),
                    fmt::format("{:.1f}", efficiency(p, points.front())), number(p.step_ms),
                    number(p.data_wait_ms), number(p.exposed_comm_ms),
                    summed ? number(p.all_reduce_ms) : "-",
                    summed ? number(bus_bandwidth(p)) : "-"});
  }
  return rows;
}

nlohmann::ordered_json to_json(const std::vector<ScalePoint>& points) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ScalePoint& point : points) {
    nlohmann::ordered_json& entry = json.emplace_back();
    entry["ranks"] = point.ranks;
    for (const auto& [name, member] : kFigures) entry[name] = point.*member;
    entry["efficiency_percent"] = efficiency(point, points.front());
    entry["bus_gb_per_s"] = bus_bandwidth(point);
  }
  return json;
}

std::vector<ScalePoint> to_scale_points(const nlohmann::ordered_json& json) {
  std::vector<ScalePoint> points;
  for (const auto& entry : json) {
    ScalePoint& point = points.emplace_back();
    point.ranks = entry.at("ranks");
    for (const auto& [name, member] : kFigures) point.*member = entry.at(name);
  }
  return points;
}

}  // namespace resnext
