// RandAugment (Cubuk et al. 2019, arXiv 1909.13719) as timm does it (timm/data/auto_augment.py:
// rand_augment_transform, "rand-m7-mstd0.5-inc1").
//
// A few operations of random kinds, each applied with a probability at a level 0..10: `magnitude`,
// or a normal number around it. What is sheared, moved or turned reads bilinear or bicubic, each
// half of the time (timm's interpolation "random"), and shows `outside` where the image has
// nothing.
//
// On square RGB images without gaps between rows. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/augment/trivial_augment.h"
#include "data/data_options.h"

namespace resnext {

// The kinds that are drawn from, each as likely.
std::span<const Augmentation> rand_augment_kinds();

// What a level 0..10 means for a kind on an image of this size, as augment() counts it, without the
// sign of rand_has_sign() kinds. `increasing`: every kind is stronger at a higher level (timm's
// "inc1"); else posterizing and solarizing are weaker, and enhancements go from 0.1 to 1.9.
double rand_magnitude(Augmentation kind, double level, int64_t size, bool increasing);
bool rand_has_sign(Augmentation kind, bool increasing);

// Draws all, and adds what is applied to `drawn`. `sampling`: instead of bilinear and bicubic by
// turns.
void rand_augment(const AugmentOptions& options, int64_t size, Colour outside,
                  std::optional<Sampling> sampling, KeyedRandom& random,
                  std::vector<AugmentOperation>& drawn);

}  // namespace resnext
