// What one GPU thread does to normalise pixels; the CPU runs the same.
//
// (pixel / 255 - mean) / std has 256 values a channel: they are worked out in float64 once, and a
// pixel is looked up. C++17, no dependencies.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "model/norm/fused_threads.h"

namespace resnext {

constexpr int kPixelValues = 256;
constexpr int kPixelChannels = 3;

// Values as kWidth-wide stores; `to` is aligned to them.
template <int kWidth, typename T>
RESNEXT_HOST_DEVICE void put(const T* values, T* to) {
  Pack<T, kWidth> pack;
  for (int i = 0; i < kWidth; ++i) pack.values[i] = values[i];
  *reinterpret_cast<Pack<T, kWidth>*>(to) = pack;
}

// Pixels [first, first + kPixels) of a batch: bytes [pixels, 3]; `table` is [3][256]; images of
// `plane` pixels each. kPixels is 4 where 4 divides `plane` and the addresses are aligned, else 1.
template <int kPixels, typename T, typename Entry>
RESNEXT_HOST_DEVICE void normalise_of_thread(const uint8_t* bytes, const Entry* table,
                                             int64_t first, int64_t plane, bool channels_last,
                                             T* images) {
  T values[kPixelChannels][kPixels];
  const auto* packs =
      reinterpret_cast<const Pack<uint8_t, kPixels>*>(bytes + kPixelChannels * first);
  for (int i = 0; i < kPixelChannels * kPixels; ++i) {
    const int channel = i % kPixelChannels;
    const uint8_t pixel = packs[i / kPixels].values[i % kPixels];
    values[channel][i / kPixelChannels] = static_cast<T>(table[channel * kPixelValues + pixel]);
  }
  if (!channels_last) {
    T* image = images + first / plane * kPixelChannels * plane + first % plane;
    for (int c = 0; c < kPixelChannels; ++c) put<kPixels>(values[c], image + c * plane);
    return;
  }
  T row[kPixelChannels * kPixels];
  for (int i = 0; i < kPixelChannels * kPixels; ++i) {
    row[i] = values[i % kPixelChannels][i / kPixelChannels];
  }
  T* pixel = images + kPixelChannels * first;
  for (int c = 0; c < kPixelChannels; ++c) put<kPixels>(row + c * kPixels, pixel + c * kPixels);
}

}  // namespace resnext
