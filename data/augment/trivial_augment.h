// TrivialAugmentWide: one operation of random kind and strength (Müller and Hutter 2021,
// arXiv 2103.10158), with the operations, ranges and 31 strengths of
// torchvision.transforms.TrivialAugmentWide: black outside the image.
//
// On square RGB images without gaps between rows. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/augment/warp.h"
#include "data/keyed_random.h"

namespace resnext {

enum class Augmentation {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColour,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
  kSolarizeAdd,  // from here on RandAugment's alone (rand_augment.h)
  kInvert,
};
inline constexpr int kAugmentations = 14;

inline constexpr int kStrengths = 31;

// The magnitude of strength 0..30, without the sign that has_sign() kinds are given half of the
// time.
double magnitude_of(Augmentation kind, int strength);
bool has_sign(Augmentation kind);

struct AugmentOperation {
  Augmentation kind = Augmentation::kIdentity;
  // As torchvision counts it: slope, pixels, degrees anticlockwise, change of the blend factor,
  // bits kept, or threshold; of kSolarizeAdd, what is added.
  double magnitude = 0;
  WarpStyle style = {};  // of what is sheared, moved or turned
};

// Whether augment() needs two places: of what is sheared, moved, turned or sharpened.
bool needs_two_places(Augmentation kind);

// From `in` to `out`, which may be one place for the other kinds. `scratch` is memory to work in,
// resized.
void augment(const AugmentOperation& operation, const uint8_t* in, int64_t size, uint8_t* out,
             std::vector<uint8_t>& scratch);

// Draws kind, strength and sign. Adds the operation to `drawn` if it changes anything.
void trivial_augment(KeyedRandom& random, Sampling sampling, std::vector<AugmentOperation>& drawn);

}  // namespace resnext
