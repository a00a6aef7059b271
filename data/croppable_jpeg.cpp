// Writes restart markers.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/croppable_jpeg.h"

#include <algorithm>
#include <cmath>

#include "data/jpeg_library.h"

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

}  // namespace

std::vector<uint8_t> make_croppable(std::span<const uint8_t> jpeg) {
  if (jpeg.size() < 2 || jpeg[0] != 0xff || jpeg[1] != 0xd8) return {};
  Decompressor source(jpeg);
  jpeg_decompress_struct& in = source.info();
  if (in.num_components != 1 && in.num_components != 3) return {};
  constexpr size_t kHeader = 1 << 12;
  std::vector<uint8_t> bytes(2 * jpeg.size() + kHeader);
  Compressor destination(source.errors(), bytes);
  jpeg_compress_struct& out = destination.info();
  jvirt_barray_ptr* coefficients = nullptr;
  source.guarded([&] {
    coefficients = jpeg_read_coefficients(&in);
    jpeg_copy_critical_parameters(&in, &out);
  });
  // Of a minimum coded unit, T.81, A.2.
  const int64_t width = 8 * (in.num_components == 1 ? 1 : in.max_h_samp_factor);
  out.restart_interval = static_cast<unsigned>(
      nearest_divisor((in.image_width + width - 1) / width, kIntervalPixels / width));
  out.optimize_coding = TRUE;
  try {
    source.guarded([&] {
      jpeg_write_coefficients(&out, coefficients);
      jpeg_finish_compress(&out);
    });
  } catch (const DamagedImage&) {  // more blocks in a unit than a baseline scan has; too large
    return {};
  }
  bytes.resize(destination.size());
  return bytes;
}

}  // namespace resnext
