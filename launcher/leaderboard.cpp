// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/leaderboard.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "comm/common/error.h"
#include "comm/common/exit_meaning.h"
#include "configs/run_keys.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

struct Entry {
  const Trial* trial = nullptr;
  TrialRecord record;
  std::optional<double> metric;
  int stopped_at = 0;  // rung; 0: not stopped

  // There is a result, and no more to come.
  bool ranked() const {
    return metric && (record.finished || (stopped_at > 0 && record.exit_code == 0));
  }
};

// Trials that differ in their seed only; most sweeps have one trial a group.
struct Group {
  std::vector<Entry> entries;
  size_t ranked = 0;
  int rungs = 0;  // that it has passed, as far as it is ranked
  double mean = 0;
  double spread = 0;
};

std::string state_of(const Entry& entry) {
  return state_of(entry.record, entry.stopped_at);
}

std::optional<double> metric_of(const SweepFile& sweep, const TrialRecord& record) {
  const auto found = record.figures.find(sweep.metric);
  if (found == record.figures.end()) return std::nullopt;
  return found->second;
}

void summarise(Group& group) {
  std::vector<double> values;
  for (const Entry& entry : group.entries) {
    if (!entry.ranked()) continue;
    values.push_back(*entry.metric);
    const int rungs = entry.record.finished ? std::numeric_limits<int>::max() : entry.stopped_at;
    group.rungs = std::max(group.rungs, rungs);
  }
  group.ranked = values.size();
  if (values.empty()) return;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) group.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - group.mean) * (value - group.mean);
  group.spread = values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
}

std::vector<Group> ranked_groups(const SweepFile& sweep, const std::vector<Trial>& trials,
                                 const SweepFolder& folder) {
  std::vector<Group> groups;
  std::map<std::string, size_t> places;
  for (const Trial& trial : trials) {
    const auto [place, is_new] = places.emplace(trial.group, groups.size());
    if (is_new) groups.emplace_back();
    const TrialRecord record = folder.record(trial);
    groups[place->second].entries.push_back(
        {&trial, record, metric_of(sweep, record), folder.stopped_at(trial)});
  }
  std::ranges::for_each(groups, summarise);
  std::ranges::stable_sort(groups, [&](const Group& a, const Group& b) {
    if (a.rungs != b.rungs) return a.rungs > b.rungs;
    if (a.ranked == 0) return false;
    return sweep.goal == Goal::kMax ? a.mean > b.mean : a.mean < b.mean;
  });
  return groups;
}

bool has_repeats(const std::vector<Trial>& trials) {
  return std::ranges::any_of(trials, [](const Trial& t) { return t.group != t.name; });
}

std::string place_of(const Group& group, size_t index) {
  return group.ranked > 0 ? std::to_string(index + 1) : "";
}

std::string spread_of(const Group& group) {
  return group.ranked > 1 ? fmt::format("{:.2g}", group.spread) : "";
}

constexpr const char* kAverage = "ema_top1";

// Whether the top-1 of averaged weights stands beside the metric.
bool shows_average(const SweepFile& sweep, const std::vector<Group>& groups) {
  return sweep.metric != kAverage && std::ranges::any_of(groups, [](const Group& group) {
           return std::ranges::any_of(group.entries, [](const Entry& entry) {
             return entry.record.figures.contains(kAverage);
           });
         });
}

// Of the last validation, a mean over those of `group` that have one.
std::string average_of(const std::vector<Entry>& entries) {
  double sum = 0, count = 0;
  for (const Entry& entry : entries) {
    const auto found = entry.record.figures.find(kAverage);
    if (found == entry.record.figures.end()) continue;
    sum += found->second;
    ++count;
  }
  return count > 0 ? fmt::format("{:.4g}", sum / count) : "";
}

void add_costs(const Trial& trial, Row& row) {
  row.push_back(std::to_string(trial.cost.parameters));
  row.push_back(fmt::format("{:.4g}", trial.cost.gmac));
}

Row heading(const SweepFile& sweep, const std::vector<Trial>& trials, bool average) {
  Row row = {"trial", "place", sweep.metric};
  if (average) row.emplace_back(kAverage);
  row.emplace_back("state");
  for (const auto& [key, value] : trials.front().values) row.push_back(key);
  for (const char* name : {"parameters", "GMAC", "step", "seconds", "starts"}) row.push_back(name);
  if (!has_repeats(trials)) return row;
  for (const char* name : {"mean", "spread", "seeds"}) row.push_back(name);
  return row;
}

Row to_row(const Group& group, const Entry& entry, size_t index, bool repeats, bool average) {
  const Trial& trial = *entry.trial;
  Row row = {trial.name, entry.ranked() ? place_of(group, index) : "",
             entry.metric ? fmt::format("{:.4g}", *entry.metric) : ""};
  if (average) row.push_back(average_of({entry}));
  row.push_back(state_of(entry));
  for (const auto& [key, value] : trial.values) row.push_back(value);
  add_costs(trial, row);
  row.push_back(std::to_string(entry.record.step));
  row.push_back(fmt::format("{:.0f}", entry.record.seconds));
  row.push_back(std::to_string(entry.record.starts));
  if (!repeats) return row;
  row.push_back(group.ranked > 0 ? fmt::format("{:.4g}", group.mean) : "");
  row.push_back(spread_of(group));
  row.push_back(std::to_string(group.ranked));
  return row;
}

// The state that all share, or how many have come how far.
std::string state_of(const Group& group) {
  const std::string first = state_of(group.entries.front());
  const bool same = std::ranges::all_of(
      group.entries, [&](const Entry& entry) { return state_of(entry) == first; });
  const auto finished = std::ranges::count_if(
      group.entries, [](const Entry& entry) { return entry.record.finished; });
  return same ? first : fmt::format("{}/{} finished", finished, group.entries.size());
}

Row short_row(const Group& group, size_t index, bool repeats, bool average) {
  const Entry& first = group.entries.front();
  const std::optional<double> metric = group.ranked > 0 ? std::optional(group.mean) : first.metric;
  Row row = {first.trial->group, place_of(group, index),
             metric ? fmt::format("{:.4g}", *metric) : ""};
  if (repeats) {
    row.push_back(spread_of(group));
    row.push_back(std::to_string(group.ranked));
  }
  if (average) row.push_back(average_of(group.entries));
  row.push_back(state_of(group));
  for (const auto& [key, value] : first.trial->values) {
    if (!repeats || key != "run.seed") row.push_back(value);
  }
  double seconds = 0;
  for (const Entry& entry : group.entries) seconds += entry.record.seconds;
  add_costs(*first.trial, row);
  row.push_back(std::to_string(first.record.step));
  row.push_back(fmt::format("{:.0f}", seconds));
  return row;
}

}  // namespace

std::string state_of(const TrialRecord& record, int stopped_at) {
  if (record.finished) return "finished";
  const bool ended_well = record.exit_code == 0 || record.starts == 0;
  if (stopped_at > 0 && ended_well) return fmt::format("stopped at rung {}", stopped_at);
  if (record.paused) return "paused";
  if (record.starts == 0) return "waiting";
  if (!record.exit_code) return "unfinished";
  if (*record.exit_code == static_cast<int>(ExitCode::kStopped)) return "stopped";
  if (*record.exit_code == 0) return "no result";
  return fmt::format("failed ({})", *record.exit_code);
}

std::string reason_of(const TrialRecord& record) {
  if (record.finished || !record.exit_code) return "";
  if (*record.exit_code == 0) return "ended with 0, but its metrics have no end";
  return meaning_of(*record.exit_code);
}

std::vector<Row> make_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                                  const SweepFolder& folder) {
  const std::vector<Group> groups = ranked_groups(sweep, trials, folder);
  const bool repeats = has_repeats(trials);
  const bool average = shows_average(sweep, groups);
  std::vector<Row> rows = {heading(sweep, trials, average)};
  for (size_t i = 0; i < groups.size(); ++i) {
    for (const Entry& entry : groups[i].entries) {
      rows.push_back(to_row(groups[i], entry, i, repeats, average));
    }
  }
  return rows;
}

std::vector<Row> make_short_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                                        const SweepFolder& folder) {
  const std::vector<Group> groups = ranked_groups(sweep, trials, folder);
  const bool repeats = has_repeats(trials);
  const bool average = shows_average(sweep, groups);
  Row head = {"trial", "place", sweep.metric};
  if (repeats) head.insert(head.end(), {"spread", "seeds"});
  if (average) head.emplace_back(kAverage);
  head.emplace_back("state");
  for (const auto& [key, value] : trials.front().values) {
    if (!repeats || key != "run.seed") head.emplace_back(leaf_of(key));
  }
  head.insert(head.end(), {"parameters", "GMAC", "step", "seconds"});
  std::vector<Row> rows = {head};
  for (size_t i = 0; i < groups.size(); ++i)
    rows.push_back(short_row(groups[i], i, repeats, average));
  return rows;
}

// Whoever writes last looks last, so nothing that another has added is missing.
std::string write_leaderboard(const SweepFile& sweep, const std::vector<Trial>& trials,
                              SweepFolder& folder) {
  const std::filesystem::path file = folder.path() / "leaderboard.csv";
  folder.read_journal();
  do {
    write_file(file, to_csv(make_leaderboard(sweep, trials, folder)));
  } while (folder.read_journal());
  return to_columns(make_short_leaderboard(sweep, trials, folder), terminal_width());
}

}  // namespace resnext
