// The launch of the kernel that normalises pixels. No Torch header, for the .cu file.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace resnext {

enum class PixelType { kFloat16, kBfloat16, kFloat32, kFloat64 };

// Device memory. `table`: [3][256] float64 for kFloat64, else float32.
struct PixelLaunch {
  PixelType type = PixelType::kFloat32;
  const uint8_t* bytes = nullptr;  // [pixels, 3]
  int64_t pixels = 0;
  int64_t plane = 0;  // pixels of an image
  bool channels_last = true;
  const void* table = nullptr;
  void* images = nullptr;
  cudaStream_t stream = nullptr;
};

// Asynchronous; the caller checks for launch errors.
void launch_normalise(const PixelLaunch& launch);

}  // namespace resnext
