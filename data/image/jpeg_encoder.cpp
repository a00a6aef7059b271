// JPEG through TurboJPEG, whose compressor returns its errors.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/jpeg_encoder.h"

#include <turbojpeg.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace resnext {
namespace {

struct DestroyCompressor {
  void operator()(void* compressor) const { tjDestroy(compressor); }
};

}  // namespace

std::vector<uint8_t> encode_jpeg(const ImageView& image, int quality) {
  const std::unique_ptr<void, DestroyCompressor> compressor(tjInitCompress());
  const int width = static_cast<int>(image.width);
  const int height = static_cast<int>(image.height);
  std::vector<uint8_t> out(tjBufSize(width, height, TJSAMP_420));
  unsigned char* buffer = out.data();
  unsigned long size = out.size();
  if (compressor == nullptr ||
      tjCompress2(compressor.get(), image.pixels, width, static_cast<int>(image.stride), height,
                  TJPF_RGB, &buffer, &size, TJSAMP_420, quality, TJFLAG_NOREALLOC) != 0) {
    throw std::runtime_error(std::string("cannot encode JPEG: ") +
                             tjGetErrorStr2(compressor.get()));
  }
  out.resize(size);
  return out;
}

}  // namespace resnext
