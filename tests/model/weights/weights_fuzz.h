// What is fuzzed: any bytes as a weights file.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

// libFuzzer's entry (https://llvm.org/docs/LibFuzzer.html): reads the bytes as a file of whatever
// format they begin like. Only CheckpointError may come of it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
