// How the images of an HDF5 dataset become 8-bit RGB.
//
// Exactly, or not at all: elements are levels of 0..255 as they are, shares of 1 (level / 255), or
// 16-bit (257 * level). Grey is repeated in three channels, a fourth channel (alpha) is dropped, as
// for PNG. Local; const functions are thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace resnext {

enum class PixelScale { kLevels, kUnit, kWide };

struct PixelFormat {
  uint64_t height = 0;
  uint64_t width = 0;
  uint64_t channels = 3;  // 1, 3 or 4
  bool channels_first = false;
  PixelScale scale = PixelScale::kLevels;

  uint64_t elements() const { return height * width * channels; }
  // [N,H,W,3] of levels.
  bool is_plain() const { return channels == 3 && !channels_first; }
  // "grey, 28x28, values in 0..1": what a user should know.
  std::string in_words() const;
};

// Of images of the shape `dims`: [N,H,W,C], [N,C,H,W] or [N,H,W]; none when it is another, or rows
// of pixels with their channels. Where both of the first fit, the channels are last.
std::optional<PixelFormat> format_of_shape(const std::vector<uint64_t>& dims);

// What elements with this largest value mean, where they are of `integer` type.
PixelScale scale_of(double largest, bool integer);

// Whether images with this largest and this mean element are all but black, or of another scale:
// the brightest is below an eighth of the scale, or the mean is below a level of 255.
bool is_too_dark(double largest, double mean, PixelScale scale);

// The elements of one image as height * width * 3 bytes. `rounded`: values between two levels
// become the nearer one. Throws DamagedImage when a value is outside of the scale or, unless
// `rounded`, between two levels.
void to_rgb(std::span<const double> elements, const PixelFormat& format, bool rounded,
            std::vector<uint8_t>& rgb);

}  // namespace resnext
