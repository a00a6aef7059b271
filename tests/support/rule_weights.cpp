// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/rule_weights.h"

#include <ATen/ops/empty.h>

#include <cmath>

namespace resnext {
namespace {

uint64_t hash_name(std::string_view name) {
  uint64_t state = 14695981039346656037u;
  for (const char c : name) state = (state ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return state;
}

double value_at(uint64_t state, int64_t index) {
  uint64_t z = state + (static_cast<uint64_t>(index) + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-52 - 1.0;
}

// offset + scale * value over a new float64 tensor. Where offset is 0, adding it changes nothing.
at::Tensor stream(std::string_view name, at::IntArrayRef shape, double offset, double scale) {
  at::Tensor result = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  double* data = result.mutable_data_ptr<double>();
  const uint64_t state = hash_name(name);
  for (int64_t i = 0; i < result.numel(); ++i) {
    const double scaled = scale * value_at(state, i);
    data[i] = offset + scaled;
  }
  return result;
}

}  // namespace

double rule_value(std::string_view name, int64_t index) {
  return value_at(hash_name(name), index);
}

void fill_by_rule(at::Tensor& tensor, std::string_view name) {
  const at::IntArrayRef shape = tensor.sizes();
  if (name.ends_with("num_batches_tracked")) {
    tensor.zero_();
  } else if (shape.size() == 4) {
    const auto fan_out = static_cast<double>(shape[0] * shape[2] * shape[3]);
    tensor.copy_(stream(name, shape, 0.0, std::sqrt(6.0 / fan_out)));
  } else if (shape.size() == 2) {
    tensor.copy_(stream(name, shape, 0.0, std::sqrt(1.0 / static_cast<double>(shape[1]))));
  } else if (name.ends_with("bn3.weight")) {
    tensor.copy_(stream(name, shape, 0.2, 0.05));
  } else if (name.ends_with("running_var") || name.ends_with("weight")) {
    tensor.copy_(stream(name, shape, 1.0, 0.25));
  } else {
    tensor.copy_(stream(name, shape, 0.0, 0.1));
  }
}

at::Tensor rule_images(int64_t count, int64_t size) {
  return stream("images", {count, 3, size, size}, 0.0, 2.0);
}

at::Tensor rule_labels(int64_t count, int64_t classes) {
  at::Tensor labels = at::empty({count}, at::TensorOptions().dtype(at::kLong));
  for (int64_t n = 0; n < count; ++n) {
    const double unit = (rule_value("labels", n) + 1.0) / 2.0;
    labels.mutable_data_ptr<int64_t>()[n] =
        static_cast<int64_t>(std::floor(unit * static_cast<double>(classes)));
  }
  return labels;
}

}  // namespace resnext
