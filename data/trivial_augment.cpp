// The operations of TrivialAugmentWide and RandAugment.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/trivial_augment.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/colour.h"

namespace resnext {
namespace {

using Table = std::array<uint8_t, 256>;

void look_up(const Table& table, size_t channel, uint8_t* pixels, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint8_t& value = pixels[static_cast<size_t>(i) * 3 + channel];
    value = table[value];
  }
}

void look_up_all(const Table& table, uint8_t* pixels, int64_t count) {
  for (int64_t i = 0; i < 3 * count; ++i) pixels[i] = table[pixels[i]];
}

using Histogram = std::array<int64_t, 256>;

Histogram histogram(size_t channel, const uint8_t* pixels, int64_t count) {
  Histogram bins{};
  for (int64_t i = 0; i < count; ++i) ++bins[pixels[static_cast<size_t>(i) * 3 + channel]];
  return bins;
}

// Stretches the used range to 0..255.
Table auto_contrast_table(const Histogram& bins) {
  Table table{};
  const auto used = [](int64_t n) { return n > 0; };
  const auto low = std::find_if(bins.begin(), bins.end(), used) - bins.begin();
  const auto high = 255 - (std::find_if(bins.rbegin(), bins.rend(), used) - bins.rbegin());
  const double scale = high > low ? 255.0 / static_cast<double>(high - low) : 1;
  const double offset = high > low ? -static_cast<double>(low) * scale : 0;
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] =
        static_cast<uint8_t>(std::clamp(static_cast<double>(i) * scale + offset, 0.0, 255.0));
  }
  return table;
}

// Pillow's ImageOps.equalize: the cumulative histogram in steps of a 255th of all pixels but those
// of the brightest value.
Table equalize_table(const Histogram& bins, int64_t count) {
  Table table{};
  const auto last = std::find_if(bins.rbegin(), bins.rend(), [](int64_t n) { return n > 0; });
  const int64_t step = (count - *last) / 255;
  int64_t below = step / 2;
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<uint8_t>(step == 0 ? static_cast<int64_t>(i)
                                              : std::min<int64_t>(255, below / step));
    below += bins[i];
  }
  return table;
}

// Blends with the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13; the border stays.
void sharpness(double factor, uint8_t* pixels, int64_t size, std::vector<uint8_t>& scratch) {
  scratch.assign(pixels, pixels + size * size * 3);
  const int64_t stride = size * 3;
  for (int64_t y = 1; y < size - 1; ++y) {
    for (int64_t i = y * stride + 3; i < (y + 1) * stride - 3; ++i) {
      const uint8_t* p = scratch.data() + i;
      int sum = 4 * p[0];
      for (const int64_t row : {-stride, int64_t{0}, stride}) {
        sum += p[row - 3] + p[row] + p[row + 3];
      }
      const int smooth = (2 * sum + 13) / 26;  // rounded to the nearest
      const double value = smooth + factor * (p[0] - smooth);
      pixels[i] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
    }
  }
}

void change_colours(void (ColourMap::*operation)(double), double factor, uint8_t* pixels,
                    int64_t count) {
  ColourMap map(mean_colour(pixels, count));
  (map.*operation)(factor);
  map.apply(pixels, count);
}

Table posterize_table(int bits) {
  Table table{};
  for (size_t i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(i & (0xffU << (8 - bits)));
  return table;
}

Table solarize_table(double threshold) {
  Table table{};
  for (size_t i = 0; i < 256; ++i) {
    table[i] = static_cast<uint8_t>(static_cast<double>(i) < threshold ? i : 255 - i);
  }
  return table;
}

// What is darker than the middle becomes so much brighter (timm's SolarizeAdd).
Table solarize_add_table(int added) {
  Table table{};
  for (int i = 0; i < 256; ++i) {
    table[static_cast<size_t>(i)] = static_cast<uint8_t>(i < 128 ? std::min(255, i + added) : i);
  }
  return table;
}

}  // namespace

double magnitude_of(Augmentation kind, int strength) {
  const double part = static_cast<double>(strength) / (kStrengths - 1);
  switch (kind) {
    case Augmentation::kTranslateX:
    case Augmentation::kTranslateY:
      return std::trunc(32 * part);
    case Augmentation::kRotate:
      return 135 * part;
    case Augmentation::kPosterize:
      return 8 - std::nearbyint(6 * part);
    case Augmentation::kSolarize:
      return 255 * (1 - part);
    default:
      return 0.99 * part;
  }
}

bool has_sign(Augmentation kind) {
  return kind >= Augmentation::kShearX && kind <= Augmentation::kSharpness;
}

void augment(Augmentation kind, double magnitude, uint8_t* pixels, int64_t size,
             std::vector<uint8_t>& scratch, const WarpStyle& style) {
  const int64_t count = size * size;
  const auto warped = [&](const Affine& map) { warp(map, style, pixels, size, scratch); };
  switch (kind) {
    case Augmentation::kIdentity:
      return;
    case Augmentation::kShearX:
      return warped({1, magnitude, 0, 0, 1, 0});
    case Augmentation::kShearY:
      return warped({1, 0, 0, magnitude, 1, 0});
    case Augmentation::kTranslateX:
      return warped({1, 0, -magnitude, 0, 1, 0});
    case Augmentation::kTranslateY:
      return warped({1, 0, 0, 0, 1, -magnitude});
    case Augmentation::kRotate:
      return warped(rotation(magnitude, size));
    case Augmentation::kBrightness:
      return change_colours(&ColourMap::brightness, 1 + magnitude, pixels, count);
    case Augmentation::kColour:
      return change_colours(&ColourMap::saturation, 1 + magnitude, pixels, count);
    case Augmentation::kContrast:
      return change_colours(&ColourMap::contrast, 1 + magnitude, pixels, count);
    case Augmentation::kSharpness:
      return sharpness(1 + magnitude, pixels, size, scratch);
    case Augmentation::kPosterize:
      return look_up_all(posterize_table(static_cast<int>(magnitude)), pixels, count);
    case Augmentation::kSolarize:
      return look_up_all(solarize_table(magnitude), pixels, count);
    case Augmentation::kSolarizeAdd:
      return look_up_all(solarize_add_table(static_cast<int>(magnitude)), pixels, count);
    case Augmentation::kInvert:
      return look_up_all(solarize_table(0), pixels, count);
    case Augmentation::kAutoContrast:
    case Augmentation::kEqualize:
      for (size_t c = 0; c < 3; ++c) {
        const Histogram bins = histogram(c, pixels, count);
        look_up(kind == Augmentation::kEqualize ? equalize_table(bins, count)
                                                : auto_contrast_table(bins),
                c, pixels, count);
      }
  }
}

void trivial_augment(uint8_t* pixels, int64_t size, KeyedRandom& random,
                     std::vector<uint8_t>& scratch, Sampling sampling) {
  const auto kind = static_cast<Augmentation>(random.below(kAugmentations));
  double magnitude = magnitude_of(kind, static_cast<int>(random.below(kStrengths)));
  if (has_sign(kind) && random.chance(0.5)) magnitude = -magnitude;
  augment(kind, magnitude, pixels, size, scratch, {sampling});
}

}  // namespace resnext
