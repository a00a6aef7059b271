// TIFF through libtiff's conversion to RGBA, from memory.
// SPDX-License-Identifier: BSD-3-Clause
#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/image/jpeg_decoder.h"
#include "data/image/more_formats.h"

namespace resnext {
namespace {

// A file in memory that cannot be written.
struct Memory {
  std::span<const uint8_t> bytes;
  uint64_t at = 0;

  static tmsize_t read(thandle_t handle, void* out, tmsize_t wanted) {
    auto& self = *static_cast<Memory*>(handle);
    const uint64_t left = self.bytes.size() - std::min<uint64_t>(self.at, self.bytes.size());
    const uint64_t count = std::min(left, static_cast<uint64_t>(wanted));
    std::memcpy(out, self.bytes.data() + self.at, count);
    self.at += count;
    return static_cast<tmsize_t>(count);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    auto& self = *static_cast<Memory*>(handle);
    const uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? self.at : self.bytes.size();
    self.at = std::min<uint64_t>(base + offset, self.bytes.size());
    return self.at;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return static_cast<Memory*>(handle)->bytes.size(); }
};

struct Close {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};

// libtiff prints by itself unless it is told not to.
void be_silent() {
  [[maybe_unused]] static const bool once = [] {
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
}

using Tiff = std::unique_ptr<TIFF, Close>;

Tiff open(Memory& memory) {
  be_silent();
  Tiff tiff(TIFFClientOpen("memory", "rm", &memory, Memory::read, Memory::write, Memory::seek,
                           Memory::close, Memory::size, nullptr, nullptr));
  if (tiff == nullptr) throw DamagedImage("damaged TIFF");
  return tiff;
}

// What the file says of its rows and columns (TIFF 6.0, tag 274).
struct Layout {
  ImageSize stored;
  uint16_t orientation = ORIENTATION_TOPLEFT;

  bool turned() const { return orientation >= ORIENTATION_LEFTTOP; }
  ImageSize shown() const { return turned() ? ImageSize{stored.width, stored.height} : stored; }
  // Where the stored pixel is shown.
  std::pair<int64_t, int64_t> place(int64_t row, int64_t column) const {
    const bool last_row_first =
        orientation == ORIENTATION_BOTRIGHT || orientation == ORIENTATION_BOTLEFT ||
        orientation == ORIENTATION_RIGHTTOP || orientation == ORIENTATION_RIGHTBOT;
    const bool last_column_first =
        orientation == ORIENTATION_TOPRIGHT || orientation == ORIENTATION_BOTRIGHT ||
        orientation == ORIENTATION_RIGHTBOT || orientation == ORIENTATION_LEFTBOT;
    if (last_row_first) row = stored.height - 1 - row;
    if (last_column_first) column = stored.width - 1 - column;
    return turned() ? std::pair{column, row} : std::pair{row, column};
  }
};

Layout layout_of(TIFF* tiff) {
  uint32_t width = 0, height = 0;
  Layout layout;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &layout.orientation);
  if (layout.orientation > ORIENTATION_LEFTBOT) layout.orientation = ORIENTATION_TOPLEFT;
  check_image_size(height, width);
  layout.stored = {height, width};
  return layout;
}

}  // namespace

ImageSize read_tiff_size(std::span<const uint8_t> bytes) {
  Memory memory{bytes};
  return layout_of(open(memory).get()).shown();
}

void decode_tiff(std::span<const uint8_t> bytes, Image& out) {
  Memory memory{bytes};
  const Tiff tiff = open(memory);
  const Layout layout = layout_of(tiff.get());
  const auto [height, width] = layout.stored;
  char why[1024] = "";
  if (TIFFRGBAImageOK(tiff.get(), why) == 0) throw DamagedImage(std::string("TIFF: ") + why);
  std::vector<uint32_t> pixels(static_cast<size_t>(height * width));
  if (TIFFReadRGBAImageOriented(tiff.get(), static_cast<uint32_t>(width),
                                static_cast<uint32_t>(height), pixels.data(), layout.orientation,
                                /*stopOnError=*/1) == 0) {
    throw DamagedImage("damaged TIFF");
  }
  out.resize(layout.shown().height, layout.shown().width);
  const uint32_t* pixel = pixels.data();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x, ++pixel) {
      if (TIFFGetA(*pixel) != 255) throw DamagedImage("TIFF with transparent pixels");
      const auto [row, column] = layout.place(y, x);
      uint8_t* const to = out.row(row) + 3 * column;
      to[0] = static_cast<uint8_t>(TIFFGetR(*pixel));
      to[1] = static_cast<uint8_t>(TIFFGetG(*pixel));
      to[2] = static_cast<uint8_t>(TIFFGetB(*pixel));
    }
  }
}

}  // namespace resnext
