// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/pixel_format.h"

#include <array>
#include <cmath>

#include "data/image/image_decoder.h"

namespace resnext {
namespace {

bool are_channels(uint64_t count) {
  return count == 1 || count == 3 || count == 4;
}

double factor_of(PixelScale scale) {
  switch (scale) {
    case PixelScale::kUnit:
      return 255;
    case PixelScale::kWide:
      return 1.0 / 257;
    default:
      return 1;
  }
}

// float32 of level / 255 is 1e-5 levels away from it.
constexpr double kTolerance = 0.01;

uint8_t to_level(double element, double factor, bool rounded) {
  const double value = element * factor, level = std::nearbyint(value);
  if (!(level >= 0 && level <= 255)) {
    throw DamagedImage("the value " + std::to_string(element) + " is outside of its scale");
  }
  if (!rounded && std::abs(value - level) > kTolerance) {
    throw DamagedImage("the value " + std::to_string(element) + " is no 8-bit level");
  }
  return static_cast<uint8_t>(level);
}

}  // namespace

std::string PixelFormat::in_words() const {
  const char* kind = channels == 1 ? "grey" : channels == 3 ? "RGB" : "RGB with alpha (dropped)";
  const char* range = scale == PixelScale::kLevels ? "0..255"
                      : scale == PixelScale::kUnit ? "0..1"
                                                   : "0..65535";
  return std::string(kind) + (channels_first ? ", channels first" : "") + ", " +
         std::to_string(height) + "x" + std::to_string(width) + ", values in " + range;
}

std::optional<PixelFormat> format_of_shape(const std::vector<uint64_t>& dims) {
  if (dims.size() == 3 && (are_channels(dims[1]) || are_channels(dims[2]))) return std::nullopt;
  if (dims.size() == 3) return PixelFormat{dims[1], dims[2], 1};
  if (dims.size() != 4) return std::nullopt;
  if (are_channels(dims[3])) return PixelFormat{dims[1], dims[2], dims[3]};
  if (are_channels(dims[1])) return PixelFormat{dims[2], dims[3], dims[1], true};
  return std::nullopt;
}

PixelScale scale_of(double largest, bool integer) {
  if (integer) return largest > 255 ? PixelScale::kWide : PixelScale::kLevels;
  return largest > 1 ? PixelScale::kLevels : PixelScale::kUnit;
}

bool is_too_dark(double largest, double mean, PixelScale scale) {
  constexpr double kDarkest = 32, kDarkestMean = 1;
  return largest * factor_of(scale) < kDarkest || mean * factor_of(scale) < kDarkestMean;
}

void to_rgb(std::span<const double> elements, const PixelFormat& format, bool rounded,
            std::vector<uint8_t>& rgb) {
  const double factor = factor_of(format.scale);
  const uint64_t pixels = format.height * format.width;
  rgb.resize(pixels * 3);
  for (uint64_t p = 0; p < pixels; ++p) {
    for (uint64_t c = 0; c < 3; ++c) {
      const uint64_t channel = format.channels == 1 ? 0 : c;
      const uint64_t at =
          format.channels_first ? channel * pixels + p : p * format.channels + channel;
      rgb[p * 3 + c] = to_level(elements[at], factor, rounded);
    }
  }
}

}  // namespace resnext
