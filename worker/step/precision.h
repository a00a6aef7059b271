// Number formats of a run: what parameters are kept in and what the network computes in.
//
// fp32, tf32 (float32 that GPUs multiply with 10 bits), bf16 and fp16 (float32 parameters,
// autocast; fp16 with loss scaling, worker/step/loss_scaler.h), fp64 (everything in float64).
// Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "configs/run_config.h"

namespace resnext {

class Precision {
 public:
  // Also tells LibTorch whether float32 products may be rounded to tf32.
  Precision(const PrecisionOptions& options, c10::Device device);

  // Of parameters, gradients and statistics.
  c10::ScalarType parameter_type() const { return parameter_type_; }
  // Of images and, under a Scope, of most activations.
  c10::ScalarType compute_type() const { return compute_type_; }
  bool scales_loss() const { return compute_type_ == c10::ScalarType::Half; }
  bool channels_last() const { return channels_last_; }

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
  c10::DeviceType device_;
  c10::ScalarType parameter_type_;
  c10::ScalarType compute_type_;
  bool channels_last_;
};

}  // namespace resnext
