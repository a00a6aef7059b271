// For builds without CUDA.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"
#include "worker/device/gpu.h"

namespace resnext {
namespace {

[[noreturn]] void refuse() {
  throw Error(ExitCode::kInternal, "GPU", "this build has no code for GPUs",
              "build with -DRESNEXT_CUDA=ON");
}

}  // namespace

GpuProperties gpu_properties(int) {
  refuse();
}

int64_t gpu_peak_bytes(int) {
  refuse();
}

ForbidSynchronisation::ForbidSynchronisation() = default;
ForbidSynchronisation::~ForbidSynchronisation() = default;

void normalise_on_gpu(const at::Tensor&, const at::Tensor&, at::Tensor&) {
  refuse();
}

GpuMemoryPool make_gpu_memory_pool() {
  refuse();
}

std::unique_ptr<GpuGraph> make_gpu_graph(GpuMemoryPool) {
  refuse();
}

std::unique_ptr<GpuMoment> make_gpu_moment() {
  refuse();
}

}  // namespace resnext
