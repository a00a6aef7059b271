// TrivialAugmentWide: one operation of random kind and strength (Müller and Hutter 2021,
// arXiv 2103.10158), with the operations, ranges and 31 strengths of
// torchvision.transforms.TrivialAugmentWide: black outside the image.
//
// On square RGB images without gaps between rows. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/keyed_random.h"
#include "data/warp.h"

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

// In place. `magnitude`, as torchvision counts it: slope, pixels, degrees anticlockwise, change of
// the blend factor, bits kept, or threshold; of kSolarizeAdd, what is added. `scratch` is memory to
// work in, resized. `style` is for what is sheared, moved or turned.
void augment(Augmentation kind, double magnitude, uint8_t* pixels, int64_t size,
             std::vector<uint8_t>& scratch, const WarpStyle& style = {});

// Draws kind, strength and sign, and applies them.
void trivial_augment(uint8_t* pixels, int64_t size, KeyedRandom& random,
                     std::vector<uint8_t>& scratch, Sampling sampling = Sampling::kNearest);

}  // namespace resnext
