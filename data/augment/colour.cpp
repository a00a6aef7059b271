// Composes and applies linear maps of colours.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/colour.h"

#include <utility>

#include "data/augment/pixel_kernels.h"

namespace resnext {
namespace {

using Vector = std::array<double, 3>;

constexpr Vector kGrey = {0.299, 0.587, 0.114};

double dot(const Vector& a, const Vector& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

}  // namespace

void ColourMap::scale(double a, double shift) {
  for (size_t c = 0; c < 3; ++c) {
    for (double& m : matrix_[c]) m *= a;
    shift_[c] = a * shift_[c] + shift;
    mean_[c] = a * mean_[c] + shift;
  }
}

void ColourMap::brightness(double a) {
  scale(a, 0);
}

void ColourMap::contrast(double a) {
  scale(a, (1 - a) * dot(kGrey, mean_));
}

void ColourMap::saturation(double a) {
  Vector grey{};
  for (size_t i = 0; i < 3; ++i) {
    grey[i] = kGrey[0] * matrix_[0][i] + kGrey[1] * matrix_[1][i] + kGrey[2] * matrix_[2][i];
  }
  const double grey_shift = dot(kGrey, shift_);
  const double grey_mean = dot(kGrey, mean_);
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 3; ++i) matrix_[c][i] = a * matrix_[c][i] + (1 - a) * grey[i];
    shift_[c] = a * shift_[c] + (1 - a) * grey_shift;
    mean_[c] = a * mean_[c] + (1 - a) * grey_mean;
  }
}

void ColourMap::add(const Vector& shift) {
  for (size_t c = 0; c < 3; ++c) {
    shift_[c] += shift[c];
    mean_[c] += shift[c];
  }
}

PixelMap ColourMap::pixel_map() const {
  PixelMap map;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 3; ++i) map.matrix[c * 3 + i] = static_cast<float>(matrix_[c][i]);
    map.shift[c] = static_cast<float>(shift_[c]);
  }
  return map;
}

void colour_jitter(ColourMap& map, double strength, KeyedRandom& random) {
  using Operation = void (ColourMap::*)(double);
  std::array<Operation, 3> operations = {&ColourMap::brightness, &ColourMap::contrast,
                                         &ColourMap::saturation};
  for (size_t left = operations.size(); left > 1; --left) {
    std::swap(operations[left - 1], operations[random.below(left)]);
  }
  for (const Operation operation : operations) {
    (map.*operation)(1 + random.uniform(-strength, strength));
  }
}

void lighting(ColourMap& map, double deviation, KeyedRandom& random) {
  // For pixels in 0..1.
  constexpr Vector kEigenvalues = {0.2175, 0.0188, 0.0045};
  constexpr std::array<Vector, 3> kEigenvectors = {
      {{-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}}};
  Vector weights{};
  for (size_t i = 0; i < 3; ++i) weights[i] = deviation * random.normal() * kEigenvalues[i];
  map.add({255 * dot(kEigenvectors[0], weights), 255 * dot(kEigenvectors[1], weights),
           255 * dot(kEigenvectors[2], weights)});
}

}  // namespace resnext
