// Reader of the numbers that PyTorch computed: tests/model/golden/parity.json, and live files
// of the same form (tests/model/make_golden.py, which states the format).
//
// Local. Throws nlohmann::json's exceptions for a malformed file, std::runtime_error for a missing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_options.h"

namespace resnext {

// Logits in evaluation mode of rule_images(images, size).
struct GoldenLogits {
  ModelOptions model;
  int64_t images = 0;
  int64_t size = 0;
  bool float64 = false;        // else float32
  std::vector<double> logits;  // [images, classes], row-major
};

// Losses of SGD steps from the rule's weights in float64, the same global batch each step: rank r
// has images r * per_rank to (r + 1) * per_rank - 1 and its own batch statistics.
struct GoldenSteps {
  ModelOptions model;
  int64_t world = 0;
  int64_t per_rank = 0;
  int64_t size = 0;
  double lr = 0, momentum = 0, weight_decay = 0;  // decay on every parameter
  bool nesterov = false;
  std::vector<double> losses;  // of each step, before its update: mean over the ranks
};

struct Golden {
  std::string torch_version;
  std::vector<GoldenLogits> logits;
  std::vector<GoldenSteps> steps;
};

Golden read_golden(const std::string& path);

}  // namespace resnext
