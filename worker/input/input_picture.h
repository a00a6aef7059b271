// Images as the network sees them, made visible again. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "worker/record/observation.h"

namespace resnext {

inline constexpr int64_t kPictureImages = 16;

// `images`: [n, 3, height, width] on the host, normalised by `mean` and `std` (RGB, of pixels in
// 0..1), any floating-point type; undefined or empty gives an empty picture. At most
// kPictureImages, in rows of four with black lines between them.
Picture to_picture(const at::Tensor& images, const std::array<double, 3>& mean,
                   const std::array<double, 3>& std);

}  // namespace resnext
