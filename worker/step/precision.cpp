// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace resnext {
namespace {

c10::ScalarType compute_type_of(Compute compute) {
  switch (compute) {
    case Compute::kFp64:
      return at::kDouble;
    case Compute::kBf16:
      return at::kBFloat16;
    case Compute::kFp16:
      return at::kHalf;
    default:
      return at::kFloat;
  }
}

}  // namespace

Precision::Precision(const PrecisionOptions& options, c10::Device device)
    : device_(device.type()),
      parameter_type_(options.compute == Compute::kFp64 ? at::kDouble : at::kFloat),
      compute_type_(compute_type_of(options.compute)),
      channels_last_(options.channels_last) {
  const bool tf32 = options.compute == Compute::kTf32;
  at::globalContext().setFloat32MatmulPrecision(tf32 ? "high" : "highest");
  at::globalContext().setAllowTF32CuDNN(tf32);
}

Precision::Scope::Scope(const Precision& precision) : precision_(precision) {
  if (precision_.compute_type_ == precision_.parameter_type_) return;
  before_ = at::autocast::is_autocast_enabled(precision_.device_);
  at::autocast::set_autocast_dtype(precision_.device_, precision_.compute_type_);
  at::autocast::set_autocast_enabled(precision_.device_, true);
}

Precision::Scope::~Scope() {
  if (precision_.compute_type_ == precision_.parameter_type_) return;
  at::autocast::set_autocast_enabled(precision_.device_, before_);
  at::autocast::clear_cache();
}

}  // namespace resnext
