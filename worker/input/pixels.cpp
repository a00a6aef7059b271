// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/pixels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "worker/device/gpu.h"
#include "worker/input/pixel_threads.h"

namespace resnext {
namespace {

at::Tensor make_table(const std::array<double, 3>& mean, const std::array<double, 3>& std) {
  at::Tensor table = at::empty({kPixelChannels, kPixelValues}, at::kDouble);
  auto* entry = table.mutable_data_ptr<double>();
  for (int c = 0; c < kPixelChannels; ++c) {
    for (int pixel = 0; pixel < kPixelValues; ++pixel) {
      *entry++ = (static_cast<double>(pixel) / 255 - mean[c]) / std[c];
    }
  }
  return table;
}

template <typename T, typename Entry>
void normalise(const at::Tensor& bytes, const at::Tensor& table, bool channels_last,
               at::Tensor& images) {
  const auto* from = bytes.const_data_ptr<uint8_t>();
  const auto* entries = table.const_data_ptr<Entry>();
  auto* to = images.mutable_data_ptr<T>();
  const int64_t plane = bytes.size(1) * bytes.size(2);
  at::parallel_for(0, bytes.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin * plane; p < end * plane; ++p) {
      normalise_of_thread<1>(from, entries, p, plane, channels_last, to);
    }
  });
}

void normalise_on_cpu(const at::Tensor& bytes, const at::Tensor& table, bool channels_last,
                      at::Tensor& images) {
  switch (images.scalar_type()) {
    case at::kHalf:
      return normalise<at::Half, float>(bytes, table, channels_last, images);
    case at::kBFloat16:
      return normalise<at::BFloat16, float>(bytes, table, channels_last, images);
    case at::kFloat:
      return normalise<float, float>(bytes, table, channels_last, images);
    default:
      return normalise<double, double>(bytes, table, channels_last, images);
  }
}

at::Tensor on_device(const std::array<double, 3>& values, const at::Tensor& like) {
  at::Tensor tensor = at::empty({kPixelChannels}, at::kDouble);
  std::ranges::copy(values, tensor.mutable_data_ptr<double>());
  return tensor.to(like.device(), like.scalar_type());
}

}  // namespace

// from_blob takes no const.
at::Tensor view_of_pixels(const uint8_t* pixels, int64_t squares, int64_t size,
                          PixelElement element) {
  return at::from_blob(const_cast<uint8_t*>(pixels), {squares, size, size, kPixelChannels},
                       element == PixelElement::kFloat32 ? at::kFloat : at::kByte);
}

PixelNormaliser::PixelNormaliser(std::array<double, 3> mean, std::array<double, 3> std,
                                 at::Device device, at::ScalarType type, bool channels_last)
    : table_(make_table(mean, std).to(device, type == at::kDouble ? at::kDouble : at::kFloat)),
      mean_(on_device(mean, table_)),
      std_(on_device(std, table_)),
      device_(device),
      type_(type),
      channels_last_(channels_last) {}

at::Tensor PixelNormaliser::make_images(int64_t count, int64_t size) const {
  const auto format =
      channels_last_ ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  return at::empty({count, kPixelChannels, size, size},
                   at::TensorOptions().dtype(type_).device(device_), format);
}

void PixelNormaliser::operator()(const at::Tensor& pixels, at::Tensor& images) const {
  if (pixels.numel() == 0) return;
  if (pixels.scalar_type() == at::kFloat) {  // no levels that a table could hold
    const at::Tensor shares = pixels.to(table_.scalar_type()).div(255);
    images.copy_(shares.sub(mean_).div_(std_).permute({0, 3, 1, 2}));
  } else if (device_.is_cuda()) {
    normalise_on_gpu(pixels, table_, images);
  } else {
    normalise_on_cpu(pixels, table_, channels_last_, images);
  }
}

}  // namespace resnext
