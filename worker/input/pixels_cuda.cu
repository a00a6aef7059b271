// Bytes of images to normalised pixels: look-up, layout and type in one pass.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "worker/input/pixel_threads.h"
#include "worker/input/pixels_cuda.h"

namespace resnext {
namespace {

constexpr int kThreads = 256;

template <int kPixels, typename T, typename Entry>
__global__ void normalise_kernel(const uint8_t* bytes, const Entry* table, int64_t pixels,
                                 int64_t plane, bool channels_last, T* images) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kPixels;
  if (first >= pixels) return;
  normalise_of_thread<kPixels>(bytes, table, first, plane, channels_last, images);
}

template <int kPixels, typename T, typename Entry>
void launch_width(const PixelLaunch& it) {
  const int64_t threads = (it.pixels + kPixels - 1) / kPixels;
  if (threads == 0) return;
  const auto blocks = static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  normalise_kernel<kPixels>
      <<<blocks, kThreads, 0, it.stream>>>(it.bytes, static_cast<const Entry*>(it.table), it.pixels,
                                           it.plane, it.channels_last, static_cast<T*>(it.images));
}

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 32 == 0;  // four float64 values
}

template <typename T, typename Entry>
void launch_type(const PixelLaunch& it) {
  if (it.plane % 4 == 0 && is_aligned(it.bytes) && is_aligned(it.images)) {
    launch_width<4, T, Entry>(it);
  } else {
    launch_width<1, T, Entry>(it);
  }
}

}  // namespace

void launch_normalise(const PixelLaunch& launch) {
  switch (launch.type) {
    case PixelType::kFloat16:
      return launch_type<__half, float>(launch);
    case PixelType::kBfloat16:
      return launch_type<__nv_bfloat16, float>(launch);
    case PixelType::kFloat32:
      return launch_type<float, float>(launch);
    case PixelType::kFloat64:
      return launch_type<double, double>(launch);
  }
}

}  // namespace resnext
