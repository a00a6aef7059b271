// What a run shows of its inside, beside its figures. Plain data.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnext {

struct NamedValues {
  std::string name;
  std::vector<double> values;
};

struct Picture {
  int64_t height = 0, width = 0;  // pixels; 0: there is none
  std::vector<uint8_t> rgb;       // [height, width, 3]
};

}  // namespace resnext
