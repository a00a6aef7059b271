// Which part of an image is used and how large it becomes, before any pixel is touched.
//
// Pure functions. Lengths in pixels.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "data/keyed_random.h"

namespace resnext {

// The region [top, top + height) x [left, left + width) of the source is resized to
// resized_height x resized_width; of that, a square of the wanted size from (out_top, out_left).
struct Crop {
  int64_t top = 0;
  int64_t left = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t resized_height = 0;
  int64_t resized_width = 0;
  int64_t out_top = 0;
  int64_t out_left = 0;
};

// How an odd margin is split: torchvision's CenterCrop rounds half to even, the seed's rounds up.
// How the longer side is resized: torchvision's Resize divides whole numbers, the seed's Scale
// truncates longer / shorter * resize in float64.
enum class Centre { kTorchvision, kSeed };

// Shorter side to `resize`, then the middle size x size. size <= resize.
Crop centre_crop(int64_t height, int64_t width, int64_t resize, int64_t size,
                 Centre centre = Centre::kTorchvision);

// torchvision.transforms.RandomResizedCrop: area 0.08..1, aspect 3/4..4/3 log-uniform, 10 tries,
// then the largest middle part with an allowed aspect.
Crop random_resized_crop(int64_t height, int64_t width, int64_t size, KeyedRandom& random);

// The seed's RandomSizedCrop (fb.resnet.torch, datasets/transforms.lua): area 0.08..1, aspect
// 3/4..4/3 uniform, sides swapped half of the time, 10 tries, then the middle.
Crop random_sized_crop(int64_t height, int64_t width, int64_t size, KeyedRandom& random);

}  // namespace resnext
