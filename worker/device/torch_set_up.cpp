// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/torch_set_up.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <cstdlib>

namespace resnext {
namespace {

// LibTorch lets cuDNN try 10 by default: the best one for a grouped convolution may come later.
constexpr int kAllAlgorithms = 0;

}  // namespace

void set_up_torch(bool deterministic, int threads) {
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
  at::Context& torch = at::globalContext();
  torch.setBenchmarkCuDNN(!deterministic);
  torch.setBenchmarkLimitCuDNN(kAllAlgorithms);
  if (!deterministic) return;
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // before cuBLAS starts
  torch.setDeterministicAlgorithms(true, /*warn_only=*/false);
  torch.setDeterministicCuDNN(true);
}

}  // namespace resnext
