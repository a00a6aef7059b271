// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/input_picture.h"

#include <algorithm>
#include <cmath>

namespace resnext {

Picture to_picture(const at::Tensor& images, const std::array<double, 3>& mean,
                   const std::array<double, 3>& std) {
  constexpr int64_t kInARow = 4, kLine = 2;  // pixels
  if (!images.defined() || images.size(0) == 0) return {};
  const at::Tensor values = images.to(at::kFloat).contiguous();
  const int64_t count = std::min(kPictureImages, values.size(0));
  const int64_t columns = std::min(kInARow, count), rows = (count + kInARow - 1) / kInARow;
  const int64_t height = values.size(2), width = values.size(3);
  Picture picture;
  picture.height = rows * (height + kLine) - kLine;
  picture.width = columns * (width + kLine) - kLine;
  picture.rgb.assign(static_cast<size_t>(picture.height * picture.width * 3), 0);
  const float* value = values.const_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t top = i / kInARow * (height + kLine), left = i % kInARow * (width + kLine);
    for (int64_t channel = 0; channel < 3; ++channel) {
      for (int64_t p = 0; p < height * width; ++p, ++value) {
        const double pixel = (*value * std[channel] + mean[channel]) * 255;
        const int64_t at = (top + p / width) * picture.width + left + p % width;
        picture.rgb[static_cast<size_t>(at * 3 + channel)] =
            static_cast<uint8_t>(std::lround(std::clamp(pixel, 0.0, 255.0)));
      }
    }
  }
  return picture;
}

}  // namespace resnext
