// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/pointwise_convolution.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Views [N, H, W, C].
at::Tensor pixels_of(const at::Tensor& x, int64_t stride) {
  return x.permute({0, 2, 3, 1})
      .slice(1, 0, std::nullopt, stride)
      .slice(2, 0, std::nullopt, stride);
}

// [rows, C] x [O, C]^T -> [rows, O]; the rows are one row of pixels of one image.
at::Tensor rows_times(const at::Tensor& rows, const at::Tensor& matrix) {
  const at::Tensor image = rows.view({1, 1, rows.size(0), rows.size(1)}).permute({0, 3, 1, 2});
  const at::Tensor kernel = matrix.view({matrix.size(0), matrix.size(1), 1, 1});
  return at::mkldnn_convolution(image, kernel, {}, {0, 0}, {1, 1}, {1, 1}, 1)
      .permute({0, 2, 3, 1})
      .view({rows.size(0), matrix.size(0)});
}

// [rows, channels] -> [N, channels, H, W], with N, H and W as in `pixels` [N, H, W, anything].
at::Tensor as_images(const at::Tensor& rows, at::IntArrayRef pixels) {
  return rows.view({pixels[0], pixels[1], pixels[2], rows.size(1)}).permute({0, 3, 1, 2});
}

// Images of `sizes` that have those of `small` at every stride-th pixel and zeros elsewhere.
at::Tensor spread(const at::Tensor& small, at::IntArrayRef sizes, int64_t stride) {
  const auto format = at::MemoryFormat::ChannelsLast;
  const at::Tensor large = at::zeros(sizes, small.options().memory_format(format));
  pixels_of(large, stride).copy_(small.permute({0, 2, 3, 1}));
  return large;
}

class PointwiseConvolution : public torch::autograd::Function<PointwiseConvolution> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, int64_t stride) {
    const at::Tensor pixels = pixels_of(input, stride).contiguous();
    const at::Tensor rows = pixels.view({-1, pixels.size(3)});
    const at::Tensor matrix = weight.view({weight.size(0), weight.size(1)});
    context->save_for_backward({rows, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["sizes"] = input.sizes();
    return as_images(rows_times(rows, matrix), pixels.sizes());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error(ExitCode::kInternal, "convolve_pointwise", "has no second derivative",
                  "compute in float64, which has");
    }
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& weight = saved[1];
    const at::Tensor pixels = gradients[0].permute({0, 2, 3, 1}).contiguous();
    const at::Tensor rows = pixels.view({-1, pixels.size(3)});
    variable_list made(3);
    if (context->needs_input_grad(0)) {
      const at::Tensor transposed = weight.view({weight.size(0), weight.size(1)}).t().contiguous();
      made[0] = as_images(rows_times(rows, transposed), pixels.sizes());
      const int64_t stride = context->saved_data["stride"].toInt();
      if (stride > 1) made[0] = spread(made[0], context->saved_data["sizes"].toIntVector(), stride);
    }
    if (context->needs_input_grad(1)) {
      made[1] = at::mm(rows.t(), saved[0]).view(weight.sizes());
    }
    return made;
  }
};

}  // namespace

at::Tensor convolve_pointwise(const at::Tensor& input, const at::Tensor& weight, int64_t stride) {
  return PointwiseConvolution::apply(input, weight, stride);
}

}  // namespace resnext
