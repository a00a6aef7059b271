// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/golden.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace resnext {
namespace {

using nlohmann::json;

ModelOptions read_model(const json& entry) {
  ModelOptions options;
  options.family = entry.at("family") == "cifar" ? Family::kCifar : Family::kImagenet;
  entry.at("depth").get_to(options.depth);
  entry.at("cardinality").get_to(options.cardinality);
  entry.at("base_width").get_to(options.base_width);
  entry.at("classes").get_to(options.classes);
  options.se_reduction = entry.value("se_reduction", 0);
  return options;
}

GoldenLogits read_logits(const json& entry) {
  return {read_model(entry.at("model")), entry.at("images"), entry.at("size"),
          entry.at("dtype") == "float64", entry.at("logits")};
}

GoldenSteps read_steps(const json& entry) {
  return {read_model(entry.at("model")),
          entry.at("world"),
          entry.at("per_rank"),
          entry.at("size"),
          entry.at("lr"),
          entry.at("momentum"),
          entry.at("weight_decay"),
          entry.at("nesterov"),
          entry.at("losses")};
}

}  // namespace

Golden read_golden(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": the golden file is missing");
  const json document = json::parse(file);
  Golden golden{document.at("torch"), {}, {}};
  for (const json& entry : document.at("logits")) golden.logits.push_back(read_logits(entry));
  for (const json& entry : document.at("steps")) golden.steps.push_back(read_steps(entry));
  return golden;
}

}  // namespace resnext
