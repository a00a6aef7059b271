// For builds without CUDA.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"
#include "model/norm/fused_device.h"

namespace resnext::device {
namespace {

[[noreturn]] void refuse() {
  throw Error(ExitCode::kInternal, "fused_norm", "this build has no kernels for GPUs",
              "build with -DRESNEXT_CUDA=ON");
}

}  // namespace

bool can_fuse_norm(const at::Tensor&, const NormParameters&) {
  return false;
}

at::Tensor norm_statistics(const at::Tensor&, const NormParameters&, bool, const at::Tensor&) {
  refuse();
}

at::Tensor norm_forward(const at::Tensor&, const at::Tensor&, const NormParameters&,
                        const at::Tensor&, bool) {
  refuse();
}

NormGradients norm_backward(const OutputGradients&, const NormSaved&, bool) {
  refuse();
}

}  // namespace resnext::device
