// Writes restart markers.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/croppable_jpeg.h"

#include <algorithm>
#include <cmath>

#include "data/image/huffman_decoder.h"
#include "data/image/jpeg_coefficients.h"
#include "data/image/jpeg_library.h"

namespace resnext {
namespace {

// Measured on 200 photographs of ImageNet, random crops: beside 64 pixels the loader took 0.95 of
// the time with 32 and 0.94 with 16, in 0.997, 1.018 and 1.024 of the bytes of the files as they
// were.
constexpr int64_t kIntervalPixels = 32;

// The divisor of `blocks` that is nearest to `wanted`, by ratio.
int64_t nearest_divisor(int64_t blocks, int64_t wanted) {
  const auto distance = [&](int64_t divisor) {
    return std::abs(std::log(static_cast<double>(divisor) / static_cast<double>(wanted)));
  };
  int64_t best = blocks;
  for (int64_t divisor = 1; divisor < blocks; ++divisor) {
    if (blocks % divisor == 0 && distance(divisor) < distance(best)) best = divisor;
  }
  return best;
}

// One scan with restart markers; empty where that cannot be, or would be of more than `most` bytes
// and a header.
std::vector<uint8_t> write_with_restarts(Decompressor& source, const JpegCoefficients& coefficients,
                                         size_t most) {
  constexpr size_t kHeader = 1 << 12;
  std::vector<uint8_t> bytes(most + kHeader);
  Compressor destination(source.errors(), bytes);
  jpeg_decompress_struct& in = source.info();
  jpeg_compress_struct& out = destination.info();
  source.guarded([&] { jpeg_copy_critical_parameters(&in, &out); });
  // Of a minimum coded unit, T.81, A.2.
  const int64_t width = 8 * (in.num_components == 1 ? 1 : in.max_h_samp_factor);
  out.restart_interval = static_cast<unsigned>(
      nearest_divisor((in.image_width + width - 1) / width, kIntervalPixels / width));
  out.optimize_coding = TRUE;
  try {
    source.guarded([&] {
      jpeg_write_coefficients(&out, coefficients.arrays());
      jpeg_finish_compress(&out);
    });
  } catch (const DamagedImage&) {  // more than a baseline scan can hold; too large
    return {};
  }
  bytes.resize(destination.size());
  return bytes;
}

// Whether a decoder makes the same image of it. Samplings are refused when decoding starts, for
// which no codes are read.
bool is_same_image(std::span<const uint8_t> jpeg, const JpegCoefficients& coefficients) try {
  Decompressor read(jpeg), decoded(jpeg);
  if (JpegCoefficients(read) != coefficients) return false;
  decoded.info().out_color_space = JCS_RGB;
  decoded.guarded([&] { jpeg_start_decompress(&decoded.info()); });
  return true;
} catch (const DamagedImage&) {
  return false;
}

}  // namespace

std::vector<uint8_t> make_croppable(std::span<const uint8_t> jpeg) {
  if (jpeg.size() < 3 || jpeg[0] != 0xff || jpeg[1] != 0xd8 || jpeg[2] != 0xff) return {};
  Decompressor source(jpeg);
  const int components = source.info().num_components;
  if (components != 1 && components != 3) return {};
  const JpegCoefficients coefficients(source);
  if (!coefficients.complete()) return {};
  std::vector<uint8_t> bytes = write_with_restarts(source, coefficients, 2 * jpeg.size());
  if (bytes.empty() || !is_same_image(bytes, coefficients)) return {};
  check_huffman_codes(jpeg);
  return bytes;
}

}  // namespace resnext
