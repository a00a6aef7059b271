// Applies file and overrides to the defaults, layer by layer, and writes configurations back.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/yaml_reader.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>

#include "comm/common/error.h"
#include "configs/consistency.h"
#include "configs/key_value.h"
#include "configs/run_keys.h"
#include "configs/yaml_entries.h"

namespace resnext {
namespace {

// The defaults, and on them one layer after the other: the file, then the overrides.
class Layers {
 public:
  explicit Layers(std::string file) : file_(std::move(file)) {}

  void apply(const std::vector<YamlEntry>& layer) {
    for (const YamlEntry& entry : layer) {
      assign_value(*find_run_key(entry.key), entry, config_);
      where_[entry.key] = entry.where;
    }
    choose_batch(layer);
  }

  RunConfig finish() {
    if (config_.run.name.empty()) config_.run.name = std::filesystem::path(file_).stem().string();
    check_consistency(config_, [this](std::string_view key) {
      const auto found = where_.find(key);
      return found == where_.end() ? file_ : found->second;
    });
    return config_;
  }

 private:
  // per_rank and global exclude each other: within a layer both are a mistake, between layers
  // the later one wins.
  void choose_batch(const std::vector<YamlEntry>& layer) {
    bool per_rank = false;
    bool global = false;
    for (const YamlEntry& entry : layer) {
      per_rank = per_rank || (entry.key == "batch.per_rank" && config_.batch.per_rank != 0);
      global = global || (entry.key == "batch.global" && config_.batch.global != 0);
    }
    if (per_rank && global) {
      throw ConfigError(where_["batch.global"], "batch.per_rank and batch.global are both given",
                        "keep one of them; the other follows from the number of ranks");
    }
    if (per_rank) config_.batch.global = 0;
    if (global) config_.batch.per_rank = 0;
  }

  std::string file_;
  RunConfig config_;
  std::map<std::string, std::string, std::less<>> where_;
};

std::vector<YamlEntry> read_overrides(const std::vector<std::string>& overrides) {
  std::vector<YamlEntry> entries;
  for (const std::string& text : overrides) entries.push_back(parse_override(text));
  return entries;
}

std::string indent(std::string_view section) {
  if (section.empty()) return "";
  return indent(section_of(section)) + "  ";
}

// "model:" before its first key, "  stem:" before the first key of that.
void open_sections(std::string_view section, std::string_view previous, std::string& yaml) {
  if (section.empty() || previous == section || previous.starts_with(std::string(section) + ".")) {
    return;
  }
  const std::string_view parent = section_of(section);
  open_sections(parent, previous, yaml);
  yaml += fmt::format("{}{}:\n", indent(parent), leaf_of(section));
}

// Neighbours of a global batch that `divisor` divides.
std::string fitting_batches(int64_t global, int64_t divisor) {
  const int64_t below = global / divisor * divisor;
  if (below == 0) return std::to_string(divisor);
  return fmt::format("{} or {}", below, below + divisor);
}

// World sizes up to twice the present one that divide the batch.
std::string fitting_world_sizes(int64_t global, int64_t accumulation, int world_size) {
  std::vector<int64_t> sizes;
  for (int64_t n = 1; n <= 2 * static_cast<int64_t>(world_size); ++n) {
    if (global % (n * accumulation) == 0) sizes.push_back(n);
  }
  return fmt::format("{}", fmt::join(sizes, ", "));
}

[[noreturn]] void fail_indivisible(const BatchOptions& batch, int world_size) {
  const int64_t divisor = world_size * batch.accumulation;
  const std::string sizes = fitting_world_sizes(batch.global, batch.accumulation, world_size);
  throw ConfigError(
      "batch.global",
      fmt::format("a global batch of {} cannot be split evenly over {} ranks with "
                  "batch.accumulation {}",
                  batch.global, world_size, batch.accumulation),
      fmt::format("set batch.global to {}{}{}", fitting_batches(batch.global, divisor),
                  sizes.empty() ? "" : ", or run with one of these world sizes: ", sizes));
}

}  // namespace

RunConfig read_run_config(const std::string& file, const std::vector<std::string>& overrides) {
  Layers layers(file);
  layers.apply(read_yaml_entries(file));
  layers.apply(read_overrides(overrides));
  return layers.finish();
}

std::vector<std::string> named_keys(const std::string& file,
                                    const std::vector<std::string>& overrides) {
  std::vector<std::string> keys;
  for (const YamlEntry& entry : read_yaml_entries(file)) keys.push_back(entry.key);
  for (const YamlEntry& entry : read_overrides(overrides)) keys.push_back(entry.key);
  std::ranges::sort(keys);
  return keys;
}

std::string to_yaml(const RunConfig& config) {
  RunConfig copy = config;
  if (copy.batch.global != 0) copy.batch.per_rank = 0;  // resolved for one world size only
  std::string yaml;
  std::string_view previous;
  for (const RunKey& key : run_keys()) {
    const std::string_view section = section_of(key.name);
    open_sections(section, previous, yaml);
    const std::string margin = indent(section);
    yaml += fmt::format("{}# {}\n{}# ({})\n", margin, key.doc, margin, expected_value(key));
    yaml += fmt::format("{}{}: {}\n", margin, leaf_of(key.name), format_value(key, copy));
    previous = section;
  }
  return yaml;
}

BatchOptions resolve_batch(const BatchOptions& batch, int world_size) {
  if (world_size < 1) {
    throw ConfigError("world size", std::to_string(world_size) + " is not positive",
                      "start at least one rank");
  }
  const int64_t divisor = world_size * batch.accumulation;
  BatchOptions resolved = batch;
  if (resolved.global == 0) resolved.global = batch.per_rank * divisor;
  if (resolved.global % divisor != 0) fail_indivisible(resolved, world_size);
  resolved.per_rank = resolved.global / divisor;
  return resolved;
}

}  // namespace resnext
