// For builds without CUDA.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/convolution_kernels.h"

namespace resnext {

std::shared_ptr<ConvolutionKernels> device_convolution_kernels() {
  return nullptr;
}

}  // namespace resnext
