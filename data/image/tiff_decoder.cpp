// TIFF through libtiff's conversion to RGBA, from memory.
// SPDX-License-Identifier: BSD-3-Clause
#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
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

ImageSize size_of(TIFF* tiff) {
  uint32_t width = 0, height = 0;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  check_image_size(height, width);
  return {height, width};
}

}  // namespace

ImageSize read_tiff_size(std::span<const uint8_t> bytes) {
  Memory memory{bytes};
  return size_of(open(memory).get());
}

void decode_tiff(std::span<const uint8_t> bytes, Image& out) {
  Memory memory{bytes};
  const Tiff tiff = open(memory);
  const ImageSize size = size_of(tiff.get());
  char why[1024] = "";
  if (TIFFRGBAImageOK(tiff.get(), why) == 0) throw DamagedImage(std::string("TIFF: ") + why);
  std::vector<uint32_t> pixels(static_cast<size_t>(size.height * size.width));
  if (TIFFReadRGBAImageOriented(tiff.get(), static_cast<uint32_t>(size.width),
                                static_cast<uint32_t>(size.height), pixels.data(),
                                ORIENTATION_TOPLEFT, /*stopOnError=*/1) == 0) {
    throw DamagedImage("damaged TIFF");
  }
  out.resize(size.height, size.width);
  uint8_t* to = out.pixels.data();
  for (const uint32_t pixel : pixels) {
    if (TIFFGetA(pixel) != 255) throw DamagedImage("TIFF with transparent pixels");
    *to++ = static_cast<uint8_t>(TIFFGetR(pixel));
    *to++ = static_cast<uint8_t>(TIFFGetG(pixel));
    *to++ = static_cast<uint8_t>(TIFFGetB(pixel));
  }
}

}  // namespace resnext
