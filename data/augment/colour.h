// Brightness, contrast, saturation and PCA lighting as one linear map of colours.
//
// Each of these operations is linear in the pixel's colour once the image's mean colour is known,
// and so is any sequence of them. The map is composed first and then applied to each pixel in
// float32; nothing is limited. Colours are on a scale of 0..255. Local; thread-safe.
//
// blend(image, reference, a) = a * image + (1 - a) * reference, with the references and the
// lighting constants of fb.resnet.torch (datasets/transforms.lua, datasets/imagenet.lua); grey is
// 0.299 R + 0.587 G + 0.114 B. Lighting: Krizhevsky et al. 2012, section 4.1.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "data/augment/pixel_kernels.h"
#include "data/keyed_random.h"

namespace resnext {

class ColourMap {
 public:
  // The identity, for an image whose mean colour is known.
  explicit ColourMap(const std::array<double, 3>& mean) : mean_(mean) {}

  void brightness(double a);  // reference: black
  void contrast(double a);    // reference: the mean of grey
  void saturation(double a);  // reference: the pixel's grey
  void add(const std::array<double, 3>& shift);

  // In float32.
  PixelMap pixel_map() const;

 private:
  void scale(double a, double shift);

  std::array<double, 3> mean_;  // of the image after the operations so far
  std::array<std::array<double, 3>, 3> matrix_ = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  std::array<double, 3> shift_ = {0, 0, 0};
};

// The seed's ColorJitter: the three operations in random order, each with a = 1 + U(-s, s).
void colour_jitter(ColourMap& map, double strength, KeyedRandom& random);

// The seed's Lighting: adds eigenvectors of ImageNet's colours, weighted by normal numbers of
// deviation `deviation` and the eigenvalues.
void lighting(ColourMap& map, double deviation, KeyedRandom& random);

}  // namespace resnext
