// A short run of container_fuzz.h in every build; tests/data/fuzz_container.sh takes longer, and
// looks for new paths.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/data/container_fuzz.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace resnext {
namespace {

TEST(ContainerFuzz, AnyIndexIsReadOrRefused) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<uint8_t> bytes(random() % 200);
    for (uint8_t& byte : bytes) {  // small numbers are more often right
      byte = static_cast<uint8_t>(random() % 8 == 0 ? random() : random() % 16);
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
}

}  // namespace
}  // namespace resnext
