// Tests of vector loops: each instruction set of this machine in turn, and bytes to work on.
//
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <vector>

#include "data/keyed_random.h"

namespace resnext::testing {

// Calls check(name) for each that the file it stands in would be compiled for. Static, as files
// may ask for more of them.
template <typename Check>
static void for_each_target(const Check& check) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    check(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
}

inline std::vector<uint8_t> random_bytes(size_t count, uint64_t number) {
  KeyedRandom random(RandomUse::kAugment, 8, 0, number);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random.next());
  return bytes;
}

}  // namespace resnext::testing
