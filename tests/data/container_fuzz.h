// What is fuzzed: the index of a container. Shapes, offsets, labels, checksums and attributes
// follow from the bytes; HDF5 itself is sound, as its library is not ours to mend.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

// libFuzzer's entry (https://llvm.org/docs/LibFuzzer.html): writes a container, opens it and reads
// its samples. Only DataError may come of it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
