// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_trials.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "comm/common/error.h"
#include "configs/key_suggestion.h"
#include "configs/key_value.h"
#include "configs/run_keys.h"
#include "configs/yaml_reader.h"
#include "launcher/text_table.h"
#include "launcher/width_match.h"

namespace resnext {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMaxTrials = 10'000;
constexpr int64_t kFloatBytes = 4;
constexpr double kMiB = 1 << 20;

const std::string* find_value(const Values& values, std::string_view key) {
  const auto found = std::ranges::find(values, key, &Values::value_type::first);
  return found == values.end() ? nullptr : &found->second;
}

// Each of `combinations` followed by each value of the axis.
std::vector<Values> times(const std::vector<Values>& combinations, const SweepAxis& axis) {
  std::vector<Values> product;
  for (const Values& values : combinations) {
    for (const std::string& value : axis.values) {
      product.push_back(values);
      product.back().emplace_back(axis.key, value);
    }
  }
  return product;
}

std::vector<Values> times_zip(const std::vector<Values>& combinations,
                              const std::vector<SweepAxis>& zip) {
  if (zip.empty()) return combinations;
  std::vector<Values> product;
  for (const Values& values : combinations) {
    for (size_t i = 0; i < zip.front().values.size(); ++i) {
      product.push_back(values);
      for (const SweepAxis& axis : zip) product.back().emplace_back(axis.key, axis.values[i]);
    }
  }
  return product;
}

bool is_excluded(const SweepFile& sweep, const Values& values) {
  const auto matches = [&](const std::map<std::string, std::string>& rule) {
    return std::ranges::all_of(rule, [&](const auto& pair) {
      const std::string* value = find_value(values, pair.first);
      return value != nullptr && *value == pair.second;
    });
  };
  return std::ranges::any_of(sweep.exclude, matches);
}

void check_size(const SweepFile& sweep, size_t trials) {
  if (trials <= kMaxTrials) return;
  throw ConfigError(sweep.path, fmt::format("makes more than {} trials", kMaxTrials),
                    "vary fewer keys or give shorter lists");
}

std::vector<Values> combinations(const SweepFile& sweep) {
  std::vector<Values> all = {{}};
  for (const SweepAxis& axis : sweep.grid) {
    check_size(sweep, all.size() * axis.values.size());
    all = times(all, axis);
  }
  all = times_zip(all, sweep.zip);
  check_size(sweep, all.size() * static_cast<size_t>(sweep.repeats));
  std::erase_if(all, [&](const Values& values) { return is_excluded(sweep, values); });
  if (!all.empty()) return all;
  throw ConfigError(sweep.path, "'exclude' leaves no trial", "remove one of its rules");
}

// Letters, digits and a few signs stay; all else, such as "[30, 60]" or a path, becomes '_'.
// Not at the ends, so that "[30, 60]" is "30_60".
std::string for_a_file_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("._-+=").find(c) != std::string_view::npos;
    if (plain) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (name.ends_with('_')) name.pop_back();
  return name;
}

// "cardinality4_seed1"
std::string default_name(const Values& values) {
  std::string name;
  for (const auto& [key, value] : values) {
    name += (name.empty() ? "" : "_") + std::string(leaf_of(key)) + for_a_file_name(value);
  }
  return name;
}

std::string value_in_template(const SweepFile& sweep, RunConfig& config, const std::string& key) {
  if (const RunKey* known = find_run_key(key)) return for_a_file_name(format_value(*known, config));
  throw ConfigError(sweep.name_where, fmt::format("unknown key '{{{}}}' in 'name'", key),
                    suggest_key(key));
}

// "{model.cardinality}x{model.base_width}d" with the trial's own values.
std::string fill_template(const SweepFile& sweep, RunConfig& config) {
  const std::string& text = sweep.name_template;
  std::string name;
  for (size_t i = 0; i < text.size();) {
    const auto close = text[i] == '{' ? text.find('}', i) : i;
    if (close == text.npos) {
      throw ConfigError(sweep.name_where, "'name' has a '{' without '}'", "write {KEY}");
    }
    name += text[i] == '{' ? value_in_template(sweep, config, text.substr(i + 1, close - i - 1))
                           : for_a_file_name(text.substr(i, 1));
    i = close + 1;
  }
  return name;
}

std::vector<std::string> to_overrides(const Values& values) {
  std::vector<std::string> overrides;
  for (const auto& [key, value] : values) overrides.push_back(key + "=" + value);
  return overrides;
}

ModelOptions with_classes(ModelOptions model) {
  if (model.classes == 0) model.classes = model.family == Family::kImagenet ? 1000 : 10;
  return model;
}

// Makes trials of one sweep.
class Expansion {
 public:
  Expansion(const SweepFile& sweep, const std::vector<std::string>& overrides, int ranks)
      : sweep_(sweep), common_(sweep.set), ranks_(std::max(1, ranks)) {
    common_.insert(common_.end(), overrides.begin(), overrides.end());
  }

  std::vector<Trial> make(const Values& values) const;  // one, or its repeats

 private:
  Trial make_one(Values values) const;
  RunConfig read(Values values) const {
    std::vector<std::string> all = common_;
    for (std::string& text : to_overrides(values)) all.push_back(std::move(text));
    return read_run_config(sweep_.base, all);
  }
  int64_t solve_width(const Values& values) const;

  const SweepFile& sweep_;
  std::vector<std::string> common_;
  int ranks_;
};

// The reference is the same trial with the base's cardinality and base_width.
int64_t Expansion::solve_width(const Values& values) const {
  Values others = values;
  std::erase_if(others, [](const auto& pair) { return pair.first == "model.cardinality"; });
  const RunConfig reference = read(others);
  return matched_width(with_classes(reference.model),
                       std::stoll(*find_value(values, "model.cardinality")), reference.data.size,
                       sweep_.match, sweep_.match_where);
}

int64_t memory_of(const RunConfig& config, const Cost& cost, int ranks) {
  const BatchOptions batch = resolve_batch(config.batch, ranks);
  return 3 * kFloatBytes * cost.parameters + batch.per_rank * cost.activation_bytes;
}

std::vector<Trial> Expansion::make(const Values& values) const {
  if (sweep_.repeats == 1) return {make_one(values)};
  const uint64_t first = read(values).run.seed;
  std::vector<Trial> trials;
  for (int i = 0; i < sweep_.repeats; ++i) {
    const std::string seed = std::to_string(first + static_cast<uint64_t>(i));
    Trial trial = make_one(values);
    trial.group = trial.name;
    trial.name += "-seed" + seed;
    trial.values.emplace_back("run.seed", seed);
    trial.config.run.seed = first + static_cast<uint64_t>(i);
    trial.config.run.name = trial.name;
    trial.config.run.output = sweep_.output + "/" + trial.name;
    trials.push_back(std::move(trial));
  }
  return trials;
}

Trial Expansion::make_one(Values all) const {
  const Values values = all;
  if (sweep_.match != Match::kNone) {
    all.emplace_back("model.base_width", std::to_string(solve_width(values)));
  }
  RunConfig config = read(all);
  const std::string name =
      sweep_.name_template.empty() ? default_name(all) : fill_template(sweep_, config);
  config.run.name = name;
  config.run.output = sweep_.output + "/" + name;
  return make_trial(name, std::move(all), std::move(config), ranks_);
}

void check_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    for (const char* key : {"run.output=", "run.name=", "run.resume="}) {
      if (!text.starts_with(key)) continue;
      throw ConfigError("override '" + text + "'", "is set for each trial by the sweep",
                        "use the sweep file's own 'output' and 'name'");
    }
  }
}

void check_names(const SweepFile& sweep, const std::vector<Trial>& trials) {
  std::map<std::string, const Trial*> seen;
  for (const Trial& trial : trials) {
    const auto [first, is_new] = seen.emplace(trial.name, &trial);
    if (is_new) continue;
    throw ConfigError(sweep.name_where.empty() ? sweep.path : sweep.name_where,
                      fmt::format("two trials have the name '{}': {} and {}", trial.name,
                                  fmt::join(to_overrides(first->second->values), " "),
                                  fmt::join(to_overrides(trial.values), " ")),
                      "give each value once, and name every varied key in 'name'");
  }
}

// Every rung lies within every trial, and there is something to measure at it.
void check_rungs(const SweepFile& sweep, const std::vector<Trial>& trials) {
  if (sweep.stop.rungs.empty()) return;
  for (const Trial& trial : trials) {
    const RunConfig& config = trial.config;
    if (config.run.epochs <= sweep.stop.rungs.back()) {
      throw ConfigError(sweep.stop.where,
                        fmt::format("trial '{}' has {} epochs, the last rung {}", trial.name,
                                    config.run.epochs, sweep.stop.rungs.back()),
                        "give rungs that are fewer epochs than run.epochs");
    }
    if (!config.data.validation.empty()) continue;
    throw ConfigError(sweep.stop.where, "'stop' decides by validations, but there are none",
                      "set data.validation");
  }
}

}  // namespace

Trial make_trial(std::string name, Values values, RunConfig config, int ranks) {
  Trial trial{name, name, std::move(config), std::move(values), {}, 0};
  trial.cost = model_cost(with_classes(trial.config.model), trial.config.data.size);
  trial.memory_bytes = memory_of(trial.config, trial.cost, std::max(1, ranks));
  return trial;
}

std::vector<Trial> expand_sweep(const SweepFile& sweep, const std::vector<std::string>& overrides,
                                int ranks) {
  check_overrides(overrides);
  const Expansion expansion(sweep, overrides, ranks);
  std::vector<Trial> trials;
  for (const Values& values : combinations(sweep)) {
    std::ranges::move(expansion.make(values), std::back_inserter(trials));
  }
  check_names(sweep, trials);
  check_rungs(sweep, trials);
  return trials;
}

std::string describe_trials(const std::vector<Trial>& trials) {
  std::vector<Row> rows = {{"trial", "cardinality", "base_width", "parameters", "GMAC",
                            "gradient MiB", "memory MiB/rank"}};
  bool assumed = false;
  for (const Trial& t : trials) {
    const ModelOptions& model = t.config.model;
    rows.push_back({t.name, std::to_string(model.cardinality), std::to_string(model.base_width),
                    std::to_string(t.cost.parameters), fmt::format("{:.4g}", t.cost.gmac),
                    fmt::format("{:.2f}", static_cast<double>(t.cost.gradient_bytes) / kMiB),
                    fmt::format("{:.0f}", static_cast<double>(t.memory_bytes) / kMiB)});
    assumed = assumed || model.classes == 0;
  }
  std::string text = to_columns(rows);
  if (assumed) {
    text += "model.classes comes from the data; counted with 1000 (imagenet) or 10 (cifar)\n";
  }
  return text;
}

}  // namespace resnext
