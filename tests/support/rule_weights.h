// Weights, images and labels by a rule that PyTorch's side computes alike (rule_weights.py, which
// states the rule), so that golden files need no weights. Bit-identical in float64.
//
// Pure; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace resnext {

// Value `index` of the stream `name`, in [-1, 1).
double rule_value(std::string_view name, int64_t index);

// Fills a tensor of a state_dict, of any dtype and strides, by its name and shape. CPU or GPU.
void fill_by_rule(at::Tensor& tensor, std::string_view name);

// [count, 3, size, size] float64, contiguous: the first `count` of the rule's images, as
// normalised.
at::Tensor rule_images(int64_t count, int64_t size);

// [count] int64 in [0, classes).
at::Tensor rule_labels(int64_t count, int64_t classes);

}  // namespace resnext
