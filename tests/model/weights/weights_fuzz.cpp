// SPDX-License-Identifier: BSD-3-Clause
#include "tests/model/weights/weights_fuzz.h"

#include <string>

#include "comm/common/error.h"
#include "model/weights/read_weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    resnext::read_weights({"fuzzed", std::string(reinterpret_cast<const char*>(data), size)}, "");
  } catch (const resnext::CheckpointError&) {
  }
  return 0;
}
