// What a run asks of LibTorch, once, before its first tensor.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

// `threads` a rank for operations on the CPU. cuDNN times all its algorithms for each shape and
// remembers the fastest; where the run is to be `deterministic` it takes one that is instead, and
// operations that have none throw. Once a process.
void set_up_torch(bool deterministic, int threads);

}  // namespace resnext
