// SPDX-License-Identifier: BSD-3-Clause
#include "configs/sweep_reader.h"

#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <set>
#include <string_view>

#include "comm/common/error.h"
#include "configs/key_suggestion.h"
#include "configs/key_value.h"
#include "configs/run_keys.h"
#include "configs/yaml_entries.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxValues = 1000;  // of an axis
constexpr int kMaxRepeats = 1000;
constexpr int64_t kMaxRung = 1'000'000;  // epochs
constexpr std::string_view kMetrics = "top1|top5|loss|ema_top1|ema_top5|ema_loss";

// One sweep file while it is read.
class SweepReader {
 public:
  explicit SweepReader(const std::string& file) { sweep_.path = file; }

  SweepFile read(const YAML::Node& root);

 private:
  using Visit = std::function<void(const std::string& key, const YAML::Node& key_node,
                                   const YAML::Node& value)>;

  std::string at(const YAML::Node& node) const {
    const YAML::Mark mark = node.Mark();
    return mark.is_null() ? sweep_.path
                          : fmt::format("{}:{}:{}", sweep_.path, mark.line + 1, mark.column + 1);
  }
  [[noreturn]] void fail(const YAML::Node& node, std::string_view what,
                         std::string_view remedy) const {
    throw ConfigError(at(node), what, remedy);
  }

  void each_key(const YAML::Node& map, std::string_view name, const Visit& visit) const;
  std::string text(const YAML::Node& node, std::string_view name) const;
  int word(const YAML::Node& node, std::string_view name, std::string_view words) const;
  void check_key(const std::string& key, const YAML::Node& node) const;
  std::string value(const std::string& key, const YAML::Node& node) const;
  SweepAxis axis(const std::string& key, const YAML::Node& key_node, const YAML::Node& list);

  void read_entry(const std::string& key, const YAML::Node& key_node, const YAML::Node& value);
  void read_metric(const YAML::Node& node);
  void read_set(const YAML::Node& node);
  void read_exclude(const YAML::Node& node);
  void read_repeats(const YAML::Node& node);
  void read_rungs(const YAML::Node& node);
  void read_keep(const YAML::Node& node);
  void read_stop(const YAML::Node& node);
  void complete_stop();
  void check_whole(const YAML::Node& root) const;

  SweepFile sweep_;
  std::set<std::string> varied_;
  std::string repeats_where_;
};

// Calls `visit` for each key of a map, in the file's order; each may be there once.
void SweepReader::each_key(const YAML::Node& map, std::string_view name, const Visit& visit) const {
  if (!map.IsMap()) fail(map, fmt::format("'{}' is not a map", name), "write KEY: VALUE below it");
  std::set<std::string> seen;
  for (const auto& entry : map) {
    const std::string key = text(entry.first, "a key");
    if (!seen.insert(key).second) {
      fail(entry.first, fmt::format("'{}' is given twice", shorten(key)), "keep one of the two");
    }
    visit(key, entry.first, entry.second);
  }
}

std::string SweepReader::text(const YAML::Node& node, std::string_view name) const {
  if (!node.IsScalar() || node.Scalar().empty()) {
    fail(node, fmt::format("'{}' is not text", name), "give one word or path");
  }
  return node.Scalar();
}

// The place of the node's text among `words`, "a|b|c".
int SweepReader::word(const YAML::Node& node, std::string_view name, std::string_view words) const {
  const std::string given = text(node, name);
  const auto known = split_spellings(words);
  const auto found = std::ranges::find(known, given);
  if (found != known.end()) return static_cast<int>(found - known.begin());
  fail(node, fmt::format("'{}' is not a value of '{}'", shorten(given), name),
       fmt::format("give one of {}", fmt::join(known, ", ")));
}

void SweepReader::check_key(const std::string& key, const YAML::Node& node) const {
  if (key == "run.output" || key == "run.name" || key == "run.resume") {
    fail(node, fmt::format("'{}' is set for each trial by the sweep", key),
         "use the sweep's own 'output' and 'name'");
  }
  if (find_run_key(key) == nullptr) {
    fail(node, fmt::format("unknown key '{}'", shorten(key)), suggest_key(key));
  }
}

// A value of a configuration key, checked, as YAML in its shortest form.
std::string SweepReader::value(const std::string& key, const YAML::Node& node) const {
  const auto scalar = [&](const YAML::Node& n) {
    if (!n.IsScalar())
      fail(n, fmt::format("'{}' has a value that is not one", key), "give a value");
    return YamlScalar{n.Scalar(), n.Tag() == "!", at(n)};
  };
  YamlEntry entry{key, at(node), node.IsSequence(), {}};
  if (entry.is_list) {
    for (const YAML::Node& element : node) entry.values.push_back(scalar(element));
  } else {
    entry.values.push_back(scalar(node));
  }
  RunConfig scratch;
  assign_value(*find_run_key(key), entry, scratch);
  return format_value(*find_run_key(key), scratch);
}

SweepAxis SweepReader::axis(const std::string& key, const YAML::Node& key_node,
                            const YAML::Node& list) {
  check_key(key, key_node);
  if (!varied_.insert(key).second) {
    fail(key_node, fmt::format("'{}' is in grid and in zip", key), "keep one of the two");
  }
  if (!list.IsSequence() || list.size() == 0) {
    fail(list, fmt::format("'{}' has no list of values", key), "write a list such as [1, 2, 4]");
  }
  if (list.size() > kMaxValues) {
    fail(list, fmt::format("'{}' has more than {} values", key, kMaxValues), "give fewer");
  }
  SweepAxis axis{key, at(list), {}};
  for (const YAML::Node& element : list) axis.values.push_back(value(key, element));
  return axis;
}

void SweepReader::read_metric(const YAML::Node& node) {
  each_key(node, "metric",
           [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& given) {
             if (key == "name") {
               sweep_.metric = split_spellings(kMetrics).at(
                   static_cast<size_t>(word(given, "metric.name", kMetrics)));
             } else if (key == "goal") {
               sweep_.goal = static_cast<Goal>(word(given, "metric.goal", "max|min"));
             } else {
               fail(key_node, fmt::format("unknown key 'metric.{}'", shorten(key)),
                    "the keys are name and goal");
             }
           });
}

void SweepReader::read_set(const YAML::Node& node) {
  each_key(node, "set",
           [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& given) {
             check_key(key, key_node);
             sweep_.set.push_back(key + "=" + value(key, given));
           });
}

void SweepReader::read_exclude(const YAML::Node& node) {
  if (!node.IsSequence()) {
    fail(node, "'exclude' is not a list", "write a list of maps: [{KEY: VALUE, KEY: VALUE}]");
  }
  for (const YAML::Node& rule : node) {
    auto& values = sweep_.exclude.emplace_back();
    each_key(rule, "exclude",
             [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& given) {
               check_key(key, key_node);
               values[key] = value(key, given);
             });
    if (values.empty()) fail(rule, "an empty rule excludes every trial", "name a key and a value");
  }
}

void SweepReader::read_repeats(const YAML::Node& node) {
  const std::string given = text(node, "repeats");
  const auto [end, error] =
      std::from_chars(given.data(), given.data() + given.size(), sweep_.repeats);
  repeats_where_ = at(node);
  if (error == std::errc() && end == given.data() + given.size() && sweep_.repeats >= 1 &&
      sweep_.repeats <= kMaxRepeats) {
    return;
  }
  fail(node, fmt::format("'{}' is no number of repeats", shorten(given)),
       fmt::format("give a whole number from 1 to {}", kMaxRepeats));
}

void SweepReader::read_rungs(const YAML::Node& node) {
  constexpr const char* kRemedy = "write epochs in rising order, such as [5, 15]";
  if (!node.IsSequence() || node.size() == 0) fail(node, "'stop.rungs' is not a list", kRemedy);
  int64_t before = 0;
  for (const YAML::Node& element : node) {
    const std::string given = text(element, "stop.rungs");
    int64_t rung = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), rung);
    if (error != std::errc() || end != given.data() + given.size() || rung <= before ||
        rung > kMaxRung) {
      fail(element, fmt::format("'{}' is no next rung", shorten(given)), kRemedy);
    }
    sweep_.stop.rungs.push_back(before = rung);
  }
}

void SweepReader::read_keep(const YAML::Node& node) {
  const std::string given = text(node, "stop.keep");
  double& keep = sweep_.stop.keep;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), keep);
  if (error == std::errc() && end == given.data() + given.size() && keep > 0 && keep < 1) return;
  fail(node, fmt::format("'{}' is no part of the trials", shorten(given)),
       "give a number between 0 and 1: 0.5 keeps the better half");
}

void SweepReader::read_stop(const YAML::Node& node) {
  sweep_.stop.where = at(node);
  sweep_.stop.metric.clear();
  each_key(node, "stop",
           [&](const std::string& key, const YAML::Node& key_node, const YAML::Node& given) {
             if (key == "metric") {
               sweep_.stop.metric = split_spellings(kMetrics).at(
                   static_cast<size_t>(word(given, "stop.metric", kMetrics)));
             } else if (key == "rungs") {
               read_rungs(given);
             } else if (key == "keep") {
               read_keep(given);
             } else {
               fail(key_node, fmt::format("unknown key 'stop.{}'", shorten(key)),
                    "the keys are metric, rungs and keep");
             }
           });
  if (sweep_.stop.rungs.empty()) {
    fail(node, "'stop' has no 'rungs'", "write epochs in rising order, such as [5, 15]");
  }
}

// The sweep's own metric, unless it names another, which is better the other way round if a loss.
void SweepReader::complete_stop() {
  StopRule& stop = sweep_.stop;
  if (stop.metric.empty()) stop.metric = sweep_.metric;
  if (stop.metric == sweep_.metric) {
    stop.goal = sweep_.goal;
  } else {
    stop.goal = stop.metric == "loss" ? Goal::kMin : Goal::kMax;
  }
}

void SweepReader::read_entry(const std::string& key, const YAML::Node& key_node,
                             const YAML::Node& given) {
  const auto axes = [&](std::vector<SweepAxis>& list) {
    each_key(given, key, [&](const std::string& k, const YAML::Node& node, const YAML::Node& v) {
      list.push_back(axis(k, node, v));
    });
  };
  if (key == "base") {
    sweep_.base = (fs::path(sweep_.path).parent_path() / text(given, key)).lexically_normal();
  } else if (key == "output") {
    sweep_.output = text(given, key);
  } else if (key == "name") {
    sweep_.name_template = text(given, key);
    sweep_.name_where = at(given);
  } else if (key == "metric") {
    read_metric(given);
  } else if (key == "match") {
    sweep_.match = static_cast<Match>(word(given, key, "none|parameters|gmac"));
    sweep_.match_where = at(given);
  } else if (key == "set") {
    read_set(given);
  } else if (key == "grid") {
    axes(sweep_.grid);
  } else if (key == "zip") {
    axes(sweep_.zip);
  } else if (key == "exclude") {
    read_exclude(given);
  } else if (key == "repeats") {
    read_repeats(given);
  } else if (key == "stop") {
    read_stop(given);
  } else {
    fail(key_node, fmt::format("unknown key '{}'", shorten(key)),
         "the keys are base, output, name, metric, match, set, grid, zip, exclude, "
         "repeats and stop");
  }
}

void SweepReader::check_whole(const YAML::Node& root) const {
  if (sweep_.base.empty()) fail(root, "there is no 'base'", "name the base configuration's file");
  if (sweep_.output.empty()) fail(root, "there is no 'output'", "name the folder of the sweep");
  if (varied_.empty())
    fail(root, "nothing is varied", "give keys with lists below 'grid' or 'zip'");
  for (const SweepAxis& a : sweep_.zip) {
    const SweepAxis& first = sweep_.zip.front();
    if (a.values.size() == first.values.size()) continue;
    throw ConfigError(a.where,
                      fmt::format("'{}' has {} values, but '{}' has {}", a.key, a.values.size(),
                                  first.key, first.values.size()),
                      "give lists of one length below 'zip'");
  }
  if (sweep_.repeats > 1 && varied_.contains("run.seed")) {
    throw ConfigError(repeats_where_, "'repeats' varies run.seed, which is varied too",
                      "remove one of the two");
  }
  if (sweep_.match == Match::kNone) return;
  if (varied_.contains("model.base_width")) {
    throw ConfigError(sweep_.match_where, "'match' solves model.base_width, which is varied too",
                      "remove one of the two");
  }
  if (!varied_.contains("model.cardinality")) {
    throw ConfigError(sweep_.match_where, "'match' needs cardinalities, but none are varied",
                      "give model.cardinality a list below 'grid' or 'zip'");
  }
}

SweepFile SweepReader::read(const YAML::Node& root) {
  sweep_.name = fs::path(sweep_.path).stem().string();
  if (!root.IsMap()) fail(root, "this is not a sweep file", "write base, output and grid");
  each_key(root, "the sweep file",
           [this](const std::string& key, const YAML::Node& key_node, const YAML::Node& given) {
             read_entry(key, key_node, given);
           });
  complete_stop();
  check_whole(root);
  return std::move(sweep_);
}

}  // namespace

SweepFile read_sweep(const std::string& file) {
  const std::string content = read_text_file(file);
  try {
    return SweepReader(file).read(YAML::Load(content));
  } catch (const YAML::ParserException& error) {
    throw ConfigError(fmt::format("{}:{}:{}", file, error.mark.line + 1, error.mark.column + 1),
                      "YAML syntax error: " + error.msg, "correct the text there");
  } catch (const YAML::Exception& error) {
    throw ConfigError(file, "YAML error: " + error.msg, "correct the text");
  }
}

}  // namespace resnext
