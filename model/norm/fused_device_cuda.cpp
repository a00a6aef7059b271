// For builds with CUDA: tensors to the launches of model/norm/fused_cuda.h.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "model/norm/fused_cuda.h"
#include "model/norm/fused_device.h"

namespace resnext::device {
namespace {

Element element_of(const at::Tensor& x) {
  if (x.scalar_type() == at::kHalf) return Element::kHalf;
  return x.scalar_type() == at::kBFloat16 ? Element::kBFloat16 : Element::kFloat;
}

at::Tensor floats(const at::Tensor& beside, at::IntArrayRef sizes) {
  return at::empty(sizes, beside.options().dtype(at::kFloat).memory_format(std::nullopt));
}

float* floats_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr;
}

const void* address(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr() : nullptr;
}

CudaNorm norm_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 const at::Tensor& statistics) {
  return {element_of(x),
          {x.numel() / x.size(1), x.size(1)},
          x.const_data_ptr(),
          weight.const_data_ptr<float>(),
          bias.const_data_ptr<float>(),
          statistics.mutable_data_ptr<float>(),
          nullptr,
          c10::cuda::getCurrentCUDAStream(x.get_device()).stream()};
}

}  // namespace

bool can_fuse_norm(const at::Tensor& x, const NormParameters& norm) {
  const auto type = x.scalar_type();
  return x.is_cuda() && (type == at::kFloat || type == at::kHalf || type == at::kBFloat16) &&
         norm.weight.scalar_type() == at::kFloat &&
         (!norm.running_mean.defined() || norm.running_mean.scalar_type() == at::kFloat);
}

at::Tensor norm_statistics(const at::Tensor& x, const NormParameters& norm, bool training,
                           const at::Tensor& sums) {
  const c10::DeviceGuard guard(x.device());
  const at::Tensor statistics = floats(x, {2, x.size(1)});
  CudaNorm launch = norm_of(x, norm.weight, norm.bias, statistics);
  const CudaRunning running{floats_of(norm.running_mean), floats_of(norm.running_var),
                            static_cast<float>(norm.momentum), static_cast<float>(norm.eps)};
  if (training && sums.defined()) {
    cuda_norm_statistics_of_sums(launch, running, sums.const_data_ptr<float>());
  } else if (training) {
    const at::Tensor workspace = floats(x, {cuda_norm_workspace(launch.shape)});
    launch.workspace = workspace.mutable_data_ptr<float>();
    cuda_norm_batch_statistics(launch, running);
  } else {
    cuda_norm_running_statistics(launch, running);
  }
  return statistics;
}

at::Tensor norm_forward(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                        const at::Tensor& statistics, bool relu) {
  const c10::DeviceGuard guard(x.device());
  at::Tensor output = at::empty_like(x);
  cuda_norm_forward(norm_of(x, norm.weight, norm.bias, statistics), address(residual), relu,
                    output.mutable_data_ptr());
  return output;
}

NormGradients norm_backward(const OutputGradients& gradients, const NormSaved& saved,
                            bool want_residual) {
  const c10::DeviceGuard guard(saved.x.device());
  CudaNorm launch = norm_of(saved.x, saved.weight, saved.bias, saved.statistics);
  const at::Tensor workspace = floats(saved.x, {cuda_norm_workspace(launch.shape)});
  launch.workspace = workspace.mutable_data_ptr<float>();
  const NormGradients made{at::empty_like(saved.x),
                           want_residual ? at::empty_like(saved.x) : at::Tensor(),
                           at::empty_like(saved.weight), at::empty_like(saved.bias)};
  cuda_norm_backward(
      launch, {gradients.gradient.const_data_ptr(), address(gradients.other), address(saved.output),
               gradients.sums.defined() ? gradients.sums.const_data_ptr<float>() : nullptr,
               saved.rectifier(), saved.training, made.input.mutable_data_ptr(),
               want_residual ? made.residual.mutable_data_ptr() : nullptr,
               made.weight.mutable_data_ptr<float>(), made.bias.mutable_data_ptr<float>()});
  return made;
}

}  // namespace resnext::device
