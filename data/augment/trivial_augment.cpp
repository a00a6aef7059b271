// The operations of TrivialAugmentWide and RandAugment.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/trivial_augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "data/augment/augment_kernels.h"

namespace resnext {
namespace {

template <typename Function>
ByteTable table_of(const Function& function) {
  ByteTable table{};
  for (int i = 0; i < 256; ++i) table[static_cast<size_t>(i)] = static_cast<uint8_t>(function(i));
  return table;
}

// Stretches the used range to 0..255.
ByteTable auto_contrast_table(int low, int high) {
  const double scale = high > low ? 255.0 / (high - low) : 1;
  const double offset = high > low ? -low * scale : 0;
  return table_of([&](int i) { return std::clamp(i * scale + offset, 0.0, 255.0); });
}

void auto_contrast(const uint8_t* in, int64_t count, uint8_t* out) {
  const ColourRange range = colour_range(in, count);
  if (in == out && range.low == Colour{0, 0, 0} && range.high == Colour{255, 255, 255}) return;
  std::array<ByteTable, 3> tables;
  for (size_t c = 0; c < 3; ++c) tables[c] = auto_contrast_table(range.low[c], range.high[c]);
  look_up(tables, in, count, out);
}

using Histogram = std::array<uint32_t, 256>;

// Counts four pixels in tables of their own, as equal neighbours would wait for each other.
std::array<Histogram, 3> histograms(const uint8_t* in, int64_t count) {
  std::array<std::array<Histogram, 3>, 4> parts{};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4, in += 12) {
    for (size_t k = 0; k < 12; ++k) ++parts[k / 3][k % 3][in[k]];
  }
  for (; i < count; ++i, in += 3) {
    for (size_t c = 0; c < 3; ++c) ++parts[0][c][in[c]];
  }
  for (size_t k = 1; k < 4; ++k) {
    for (size_t c = 0; c < 3; ++c) {
      for (size_t v = 0; v < 256; ++v) parts[0][c][v] += parts[k][c][v];
    }
  }
  return parts[0];
}

// Pillow's ImageOps.equalize: the cumulative histogram in steps of a 255th of all pixels but those
// of the brightest value.
ByteTable equalize_table(const Histogram& bins, int64_t count) {
  const auto last = std::find_if(bins.rbegin(), bins.rend(), [](uint32_t n) { return n > 0; });
  const int64_t step = (count - *last) / 255;
  int64_t below = step / 2;
  return table_of([&](int i) -> int64_t {
    const int64_t value = step == 0 ? i : std::min<int64_t>(255, below / step);
    below += bins[static_cast<size_t>(i)];
    return value;
  });
}

void equalize(const uint8_t* in, int64_t count, uint8_t* out) {
  const std::array<Histogram, 3> bins = histograms(in, count);
  std::array<ByteTable, 3> tables;
  for (size_t c = 0; c < 3; ++c) tables[c] = equalize_table(bins[c], count);
  look_up(tables, in, count, out);
}

// Pillow's blend of one value with each; augment_kernels.h says how.
ByteTable blend_table(int from, double factor) {
  return table_of([from, f = static_cast<float>(factor)](int i) {
    const float step = f * static_cast<float>(i - from);
    return std::clamp(static_cast<float>(from) + step, 0.0F, 255.0F);
  });
}

// Pillow's ImageEnhance.Contrast: the rounded mean of its greys.
int mean_grey(const uint8_t* in, int64_t count) {
  const auto sum = static_cast<double>(sum_of_greys(in, count));
  return static_cast<int>(sum / static_cast<double>(count) + 0.5);
}

ByteTable posterize_table(int bits) {
  return table_of([bits](int i) { return i & 0xff << (8 - bits); });
}

ByteTable solarize_table(double threshold) {
  return table_of([threshold](int i) { return i < threshold ? i : 255 - i; });
}

// What is darker than the middle becomes so much brighter (timm's SolarizeAdd).
ByteTable solarize_add_table(int added) {
  return table_of([added](int i) { return i < 128 ? std::min(255, i + added) : i; });
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

bool needs_two_places(Augmentation kind) {
  return (kind >= Augmentation::kShearX && kind <= Augmentation::kRotate) ||
         kind == Augmentation::kSharpness;
}

void augment(const AugmentOperation& operation, const uint8_t* in, int64_t size, uint8_t* out,
             std::vector<uint8_t>& scratch) {
  const int64_t count = size * size;
  const double magnitude = operation.magnitude;
  const double factor = 1 + magnitude;  // of a blend
  const auto warped = [&](const Affine& map) {
    warp(map, operation.style, in, size, out, scratch);
  };
  const auto mapped = [&](const ByteTable& table) { look_up(table, in, count * 3, out); };
  switch (operation.kind) {
    case Augmentation::kIdentity:
      if (in != out) std::memcpy(out, in, static_cast<size_t>(count * 3));
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
      return mapped(blend_table(0, factor));
    case Augmentation::kColour:
      return blend_from_grey(static_cast<float>(factor), in, count, out);
    case Augmentation::kContrast:
      return mapped(blend_table(mean_grey(in, count), factor));
    case Augmentation::kSharpness:
      return blend_from_smooth(static_cast<float>(factor), in, size, out);
    case Augmentation::kPosterize:
      return mapped(posterize_table(static_cast<int>(magnitude)));
    case Augmentation::kSolarize:
      return mapped(solarize_table(magnitude));
    case Augmentation::kSolarizeAdd:
      return mapped(solarize_add_table(static_cast<int>(magnitude)));
    case Augmentation::kInvert:
      return mapped(solarize_table(0));
    case Augmentation::kAutoContrast:
      return auto_contrast(in, count, out);
    case Augmentation::kEqualize:
      return equalize(in, count, out);
  }
}

void trivial_augment(KeyedRandom& random, Sampling sampling, std::vector<AugmentOperation>& drawn) {
  const auto kind = static_cast<Augmentation>(random.below(kAugmentations));
  double magnitude = magnitude_of(kind, static_cast<int>(random.below(kStrengths)));
  if (has_sign(kind) && random.chance(0.5)) magnitude = -magnitude;
  const bool unchanged = kind == Augmentation::kIdentity || (has_sign(kind) && magnitude == 0);
  if (!unchanged) drawn.push_back({kind, magnitude, {sampling}});
}

}  // namespace resnext
