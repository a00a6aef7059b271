// Levels, signs and draws of timm's RandAugment.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/rand_augment.h"

#include <algorithm>
#include <cmath>

namespace resnext {
namespace {

constexpr double kLevels = 10;
constexpr double kDegrees = 30;
constexpr double kShear = 0.3;
constexpr double kTranslation = 0.45;  // of the side
constexpr double kEnhancement = 0.9;
constexpr double kLeastFactor = 0.1;
constexpr double kAdded = 110;

constexpr Augmentation kKinds[] = {
    Augmentation::kAutoContrast, Augmentation::kEqualize,   Augmentation::kInvert,
    Augmentation::kRotate,       Augmentation::kPosterize,  Augmentation::kSolarize,
    Augmentation::kSolarizeAdd,  Augmentation::kColour,     Augmentation::kContrast,
    Augmentation::kBrightness,   Augmentation::kSharpness,  Augmentation::kShearX,
    Augmentation::kShearY,       Augmentation::kTranslateX, Augmentation::kTranslateY};

bool is_enhancement(Augmentation kind) {
  return kind == Augmentation::kColour || kind == Augmentation::kContrast ||
         kind == Augmentation::kBrightness || kind == Augmentation::kSharpness;
}

bool moves(Augmentation kind) {
  return kind >= Augmentation::kShearX && kind <= Augmentation::kRotate;
}

}  // namespace

std::span<const Augmentation> rand_augment_kinds() {
  return kKinds;
}

double rand_magnitude(Augmentation kind, double level, int64_t size, bool increasing) {
  const double part = level / kLevels;
  switch (kind) {
    case Augmentation::kRotate:
      return kDegrees * part;
    case Augmentation::kShearX:
    case Augmentation::kShearY:
      return kShear * part;
    case Augmentation::kTranslateX:
    case Augmentation::kTranslateY:
      return kTranslation * part * static_cast<double>(size);
    case Augmentation::kPosterize: {
      const double bits = std::trunc(4 * part);
      return increasing ? 4 - bits : bits;
    }
    case Augmentation::kSolarize: {
      const double threshold = std::min(256.0, std::trunc(256 * part));
      return increasing ? 256 - threshold : threshold;
    }
    case Augmentation::kSolarizeAdd:
      return std::trunc(kAdded * part);
    case Augmentation::kColour:
    case Augmentation::kContrast:
    case Augmentation::kBrightness:
    case Augmentation::kSharpness:
      return increasing ? kEnhancement * part : 2 * kEnhancement * part + kLeastFactor - 1;
    default:
      return 0;
  }
}

bool rand_has_sign(Augmentation kind, bool increasing) {
  return moves(kind) || (increasing && is_enhancement(kind));
}

void rand_augment(const AugmentOptions& options, int64_t size, Colour outside,
                  std::optional<Sampling> sampling, KeyedRandom& random,
                  std::vector<AugmentOperation>& drawn) {
  for (int64_t i = 0; i < options.operations; ++i) {
    const Augmentation kind = kKinds[random.below(std::size(kKinds))];
    if (!random.chance(options.probability)) continue;
    double level = options.magnitude;
    if (options.deviation > 0) level += options.deviation * random.normal();
    level = std::clamp(level, 0.0, kLevels);
    double magnitude = rand_magnitude(kind, level, size, options.increasing);
    if (rand_has_sign(kind, options.increasing) && random.chance(0.5)) magnitude = -magnitude;
    WarpStyle style{sampling.value_or(Sampling::kBilinear), outside};
    if (moves(kind) && !sampling && random.chance(0.5)) style.sampling = Sampling::kBicubic;
    drawn.push_back({kind, magnitude, style});
  }
}

}  // namespace resnext
