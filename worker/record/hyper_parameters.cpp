// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/hyper_parameters.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "configs/key_value.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

bool compares(const RunKey& key) {
  constexpr std::string_view kSections[] = {"model", "batch", "optimizer", "schedule",
                                            "mix",   "ema",   "data",      "precision"};
  constexpr std::string_view kOthers[] = {"run.seed", "run.epochs", "data.threads",
                                          "data.prefetch"};
  const std::string_view section = key.name.substr(0, key.name.find('.'));
  const bool other = std::ranges::find(kOthers, key.name) != std::end(kOthers);
  if (section == "run") return other;
  const bool path = std::holds_alternative<TextField>(key.field) ||
                    std::holds_alternative<TextListField>(key.field);
  if (path || other) return false;
  return std::ranges::find(kSections, section) != std::end(kSections);
}

HyperParameter value_of(const RunKey& key, RunConfig& config) {
  const std::string text = format_value(key, config);
  const std::string name(key.name);
  if (std::holds_alternative<BoolField>(key.field)) return {name, text == "true"};
  const bool number = std::holds_alternative<IntField>(key.field) ||
                      std::holds_alternative<RealField>(key.field) ||
                      std::holds_alternative<SeedField>(key.field);
  if (number) return {name, std::strtod(text.c_str(), nullptr)};
  return {name, text};
}

}  // namespace

std::vector<HyperParameter> hyper_parameters(const RunConfig& config, const RunShape& shape) {
  std::vector<HyperParameter> all;
  RunConfig copy = config;
  for (const RunKey& key : run_keys()) {
    if (compares(key)) all.push_back(value_of(key, copy));
  }
  all.emplace_back("world_size", static_cast<double>(shape.world_size));
  all.emplace_back("global_batch", static_cast<double>(shape.batch.global));
  all.emplace_back("effective_lr", shape.effective_lr);
  all.emplace_back("parameters", static_cast<double>(shape.cost.parameters));
  return all;
}

}  // namespace resnext
