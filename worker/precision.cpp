// SPDX-License-Identifier: BSD-3-Clause
#include "worker/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

at::ScalarType compute_type(Compute compute) {
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

Precision::Precision(const PrecisionOptions& options, at::Device device, std::array<double, 3> mean,
                     std::array<double, 3> std)
    : device_(device),
      parameter_type_(options.compute == Compute::kFp64 ? at::kDouble : at::kFloat),
      compute_type_(compute_type(options.compute)),
      channels_last_(options.channels_last) {
  if (options.compute == Compute::kFp16) {
    throw ConfigError("precision.compute", "fp16 is not offered on this device",
                      "use bf16, which needs no loss scaling, or fp32");
  }
  if (options.compute == Compute::kTf32) {
    at::globalContext().setFloat32MatmulPrecision("high");
    at::globalContext().setAllowTF32CuDNN(true);
  } else {
    at::globalContext().setAllowTF32CuDNN(false);
  }
  const auto type = at::TensorOptions().dtype(parameter_type_);
  mean_ = at::tensor(at::ArrayRef<double>(mean.data(), mean.size()), type).to(device);
  std_ = at::tensor(at::ArrayRef<double>(std.data(), std.size()), type).to(device);
}

at::Tensor Precision::images(const Batch& batch) const {
  auto* pixels = const_cast<uint8_t*>(batch.pixels);  // from_blob takes no const; it is only read
  const at::Tensor bytes =
      at::from_blob(pixels, {batch.count, batch.size, batch.size, 3}, at::kByte);
  const at::Tensor images =
      bytes.to(device_).to(parameter_type_).div_(255).sub_(mean_).div_(std_).permute({0, 3, 1, 2});
  return channels_last_ ? images : images.contiguous();
}

at::Tensor Precision::labels(const Batch& batch) const {
  auto* labels = const_cast<int64_t*>(batch.labels);
  return at::from_blob(labels, {batch.count}, at::kLong)
      .to(device_, at::kLong, false, /*copy=*/true);
}

Precision::Scope::Scope(const Precision& precision) : precision_(precision) {
  if (precision_.compute_type_ == precision_.parameter_type_) return;
  const at::DeviceType device = precision_.device_.type();
  before_ = at::autocast::is_autocast_enabled(device);
  at::autocast::set_autocast_dtype(device, precision_.compute_type_);
  at::autocast::set_autocast_enabled(device, true);
}

Precision::Scope::~Scope() {
  if (precision_.compute_type_ == precision_.parameter_type_) return;
  at::autocast::set_autocast_enabled(precision_.device_.type(), before_);
  at::autocast::clear_cache();
}

}  // namespace resnext
