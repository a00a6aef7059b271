// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/leaderboard.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "configs/run_keys.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

struct Entry {
  const Trial* trial = nullptr;
  TrialRecord record;
  bool finished = false;
  std::optional<double> metric;
  int64_t step = 0;
};

Entry look_at(const SweepFile& sweep, const Trial& trial, const SweepFolder& folder) {
  const RunMetrics metrics = read_metrics(folder.folder(trial));
  Entry entry{&trial, folder.record(trial), metrics.finished(), metrics.final_figure(sweep.metric),
              metrics.train.empty() ? 0 : metrics.train.rbegin()->first};
  return entry;
}

std::string state_of(const Entry& entry) {
  if (entry.finished) return "finished";
  if (entry.record.starts == 0) return "waiting";
  if (!entry.record.exit_code) return "unfinished";  // it runs, or was killed
  return fmt::format("failed ({})", *entry.record.exit_code);
}

bool is_ranked(const Entry& entry) {
  return entry.finished && entry.metric.has_value();
}

bool is_better(const Entry& a, const Entry& b, Goal goal) {
  if (is_ranked(a) != is_ranked(b)) return is_ranked(a);
  if (!is_ranked(a)) return false;
  return goal == Goal::kMax ? *a.metric > *b.metric : *a.metric < *b.metric;
}

Row heading(const SweepFile& sweep, const std::vector<Trial>& trials) {
  Row row = {"trial", "place", sweep.metric, "state"};
  for (const auto& [key, value] : trials.front().values) row.push_back(key);
  for (const char* name : {"parameters", "GMAC", "step", "seconds", "starts"}) row.push_back(name);
  return row;
}

Row to_row(const Entry& entry, size_t place) {
  const Trial& trial = *entry.trial;
  Row row = {trial.name, is_ranked(entry) ? std::to_string(place) : "",
             entry.metric ? fmt::format("{:.4g}", *entry.metric) : "", state_of(entry)};
  for (const auto& [key, value] : trial.values) row.push_back(value);
  row.push_back(std::to_string(trial.cost.parameters));
  row.push_back(fmt::format("{:.4g}", trial.cost.gmac));
  row.push_back(std::to_string(entry.step));
  row.push_back(fmt::format("{:.0f}", entry.record.seconds));
  row.push_back(std::to_string(entry.record.starts));
  return row;
}

}  // namespace

std::vector<Row> make_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                                  const SweepFolder& folder) {
  std::vector<Entry> entries;
  for (const Trial& trial : trials) entries.push_back(look_at(sweep, trial, folder));
  std::ranges::stable_sort(
      entries, [&](const Entry& a, const Entry& b) { return is_better(a, b, sweep.goal); });
  std::vector<Row> rows = {heading(sweep, trials)};
  for (size_t i = 0; i < entries.size(); ++i) rows.push_back(to_row(entries[i], i + 1));
  return rows;
}

std::string write_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                              const SweepFolder& folder) {
  const std::vector<Row> rows = make_leaderboard(sweep, trials, folder);
  write_file(folder.path() / "leaderboard.csv", to_csv(rows));
  return to_columns(rows);
}

}  // namespace resnext
