// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/width_match.h"

#include <spdlog/fmt/fmt.h>

#include <numeric>

#include "comm/common/error.h"
#include "model/network/cost.h"

namespace resnext {
namespace {

constexpr int64_t kFullWidth = 64;  // base_width counts at this width of the first stage
constexpr int64_t kMaxWidth = 1024;

// Even, and a whole number of channels a path: planes * base_width / 64.
int64_t width_step(const ModelOptions& model) {
  const int64_t planes = model.stem.width == 0 ? kFullWidth : model.stem.width;
  return std::lcm(int64_t{2}, kFullWidth / std::gcd(kFullWidth, planes));
}

double cost_of(const ModelOptions& model, int64_t image_size, Match match) {
  const Cost cost = model_cost(model, image_size);
  return match == Match::kGmac ? cost.gmac : static_cast<double>(cost.parameters);
}

}  // namespace

int64_t matched_width(const ModelOptions& reference, int64_t cardinality, int64_t image_size,
                      Match match, const std::string& where) {
  if (cardinality == reference.cardinality) return reference.base_width;
  const double wanted = cost_of(reference, image_size, match);
  ModelOptions model = reference;
  model.cardinality = cardinality;
  const int64_t step = width_step(reference);
  for (model.base_width = step; model.base_width <= kMaxWidth; model.base_width += step) {
    const double cost = cost_of(model, image_size, match);
    if (cost < wanted) continue;
    if (cost <= wanted * (1 + kMatchTolerance)) return model.base_width;
    break;
  }
  throw ConfigError(
      where,
      fmt::format("no base_width gives cardinality {} the cost of the reference {}x{}d within "
                  "{:.0f} %",
                  cardinality, reference.cardinality, reference.base_width, 100 * kMatchTolerance),
      fmt::format("leave cardinality {} out, or widen the reference", cardinality));
}

}  // namespace resnext
