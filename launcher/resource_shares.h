// This machine's GPUs and cores, cut into equal shares for trials that run side by side.
//
// A pure function but for this_machine(). Throws ConfigError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "launcher/allocation.h"

namespace resnext {

struct Resources {
  std::vector<std::string> gpus;        // ids as CUDA_VISIBLE_DEVICES takes them
  std::vector<std::vector<int>> cores;  // the logical CPUs of each
};

Resources resources_of(const Machine& machine);

// `count` disjoint shares of one size, of whole cores: two trials never share a core's threads;
// what does not divide stays unused. Refuses more shares than GPUs or, where there are none, than
// cores.
std::vector<Resources> share_out(const Resources& all, int count);

}  // namespace resnext
