// RGB images of 8 bits a channel: an owning one and a view into one.
//
// Rows from top to bottom, pixels as R, G, B bytes, 0..255.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace resnext {

// Does not own its pixels. `stride` is bytes from one row to the next, so that a crop is a view.
struct ImageView {
  const uint8_t* pixels = nullptr;
  int64_t height = 0;
  int64_t width = 0;
  int64_t stride = 0;

  const uint8_t* row(int64_t y) const { return pixels + y * stride; }
  ImageView crop(int64_t top, int64_t left, int64_t crop_height, int64_t crop_width) const {
    return {pixels + top * stride + left * 3, crop_height, crop_width, stride};
  }
};

struct Image {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> pixels;  // height * width * 3

  // Keeps the memory of a larger earlier image, so that a reused Image rarely allocates.
  void resize(int64_t new_height, int64_t new_width) {
    height = new_height;
    width = new_width;
    pixels.resize(static_cast<size_t>(height * width * 3));
  }
  uint8_t* row(int64_t y) { return pixels.data() + y * width * 3; }
  ImageView view() const { return {pixels.data(), height, width, width * 3}; }
};

// What pixels of a batch are: levels 0..255, or values on that scale that are not limited to it.
enum class PixelElement { kUint8, kFloat32 };

// A part of an image, in pixels; edges need not be whole.
struct Box {
  double top = 0;
  double left = 0;
  double height = 0;
  double width = 0;
};

// Rows or columns [begin, end).
struct PixelRange {
  int64_t begin = 0;
  int64_t end = 0;
};

}  // namespace resnext
