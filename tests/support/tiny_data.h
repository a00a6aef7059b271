// Containers that a test makes in milliseconds: raw images of keyed random pixels.
//
// Local. Throws what the container writer throws.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace resnext::test {

struct TinyData {
  int64_t images = 96;
  int64_t side = 16;    // pixels
  int64_t classes = 4;  // labels are 0, 1, ..., classes - 1, 0, ...
  uint64_t key = 1;     // of the pixels
  int64_t named = 4;    // classes that the file names; fewer than `classes` make it malformed
  // The file's label 0 is the class of this number, label 1 the next, and so on around.
  int64_t first_class = 0;
};

void write_tiny_container(const std::string& path, const TinyData& data);

}  // namespace resnext::test
