// Number formats of a run: what parameters are kept in, what the network computes in, and the
// conversion of a batch's bytes to normalised images.
//
// fp32, tf32 (float32 that GPUs multiply with 10 bits), bf16 (float32 parameters, autocast), fp64
// (everything in float64). Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "configs/run_config.h"
#include "data/batch.h"

namespace resnext {

class Precision {
 public:
  // Mean and standard deviation per channel (RGB), of pixels in 0..1. Throws ConfigError when the
  // device cannot compute so.
  Precision(const PrecisionOptions& options, at::Device device, std::array<double, 3> mean,
            std::array<double, 3> std);

  // Of parameters, gradients and statistics.
  at::ScalarType parameter_type() const { return parameter_type_; }

  // (pixel / 255 - mean) / std, [count, 3, size, size] on the device, in the parameters' type.
  at::Tensor images(const Batch& batch) const;
  at::Tensor labels(const Batch& batch) const;  // int64 [count] on the device

  // While one lives, operations of this thread compute in the reduced type, if there is one.
  class Scope {
   public:
    explicit Scope(const Precision& precision);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const Precision& precision_;
    bool before_ = false;
  };

 private:
  at::Device device_;
  at::ScalarType parameter_type_ = at::kFloat;
  at::ScalarType compute_type_ = at::kFloat;  // of autocast, when not parameter_type_
  bool channels_last_;
  at::Tensor mean_;  // [3] on the device
  at::Tensor std_;
};

}  // namespace resnext
