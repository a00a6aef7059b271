// Counts what the program and its libraries allocate with `new`: a measure of work that is the same
// on a busy machine. Link allocations.cpp into the test that counts. All threads together.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace resnext::test {

struct Allocations {
  uint64_t count = 0;
  uint64_t bytes = 0;
};

// Since the program's start; what was given back counts too.
Allocations allocations();

}  // namespace resnext::test
