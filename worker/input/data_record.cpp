// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/data_record.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace resnext {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const SplitRecord& split) {
  return {{"count", split.count}, {"labels_crc32c", split.labels}, {"storage", split.storage}};
}

SplitRecord to_split(const Json& json) {
  return {json.at("count"), json.at("labels_crc32c"), json.at("storage")};
}

// A split that one side does not have is no change of the data.
std::string difference(const char* name, const SplitRecord& before, const SplitRecord& now) {
  if (before.count == 0 || now.count == 0 || before == now) return "";
  if (before.count != now.count) {
    return fmt::format("{} {} images, then {}", before.count, name, now.count);
  }
  if (before.labels != now.labels) return fmt::format("other labels of the {} images", name);
  return fmt::format("{} images stored as {}, then as {}", name, before.storage, now.storage);
}

std::string difference(const std::vector<std::string>& before,
                       const std::vector<std::string>& now) {
  if (before.empty() || now.empty() || before == now) return "";
  const auto [a, b] = std::ranges::mismatch(before, now);
  const auto name = [](auto at, const auto& names) {
    return at == names.end() ? std::string("no class") : fmt::format("'{}'", *at);
  };
  return fmt::format("class {} was {}, is {}", a - before.begin(), name(a, before), name(b, now));
}

}  // namespace

std::string difference(const DataRecord& before, const DataRecord& now) {
  for (const std::string& text : {difference("training", before.train, now.train),
                                  difference(before.class_names, now.class_names)}) {
    if (!text.empty()) return text;
  }
  if (before.classes != now.classes) {
    return fmt::format("{} classes, then {}", before.classes, now.classes);
  }
  if (before.mean != now.mean || before.std != now.std) {
    return fmt::format("mean [{:.4g}], then [{:.4g}]; standard deviation [{:.4g}], then [{:.4g}]",
                       fmt::join(before.mean, ", "), fmt::join(now.mean, ", "),
                       fmt::join(before.std, ", "), fmt::join(now.std, ", "));
  }
  return difference("validation", before.validation, now.validation);
}

Json to_json(const DataRecord& record) {
  return {{"train", to_json(record.train)},
          {"validation", to_json(record.validation)},
          {"classes", record.classes},
          {"class_names", record.class_names},
          {"mean", record.mean},
          {"std", record.std},
          {"recipe", static_cast<int>(record.recipe)},
          {"size", record.size},
          {"evaluation_size", record.evaluation_size},
          {"resize", record.resize}};
}

DataRecord to_data_record(const Json& json) {
  DataRecord record;
  record.train = to_split(json.at("train"));
  record.validation = to_split(json.at("validation"));
  record.classes = json.at("classes");
  record.class_names = json.at("class_names").get<std::vector<std::string>>();
  record.mean = json.at("mean").get<std::array<double, 3>>();
  record.std = json.at("std").get<std::array<double, 3>>();
  record.recipe = static_cast<RecipeName>(json.at("recipe").get<int>());
  record.size = json.at("size");
  record.evaluation_size = json.value("evaluation_size", record.size);
  record.resize = json.at("resize");
  return record;
}

}  // namespace resnext
