// Stands in where libstb was not there when this was built.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/more_formats.h"

namespace resnext {
namespace {

[[noreturn]] void refuse() {
  throw DamagedImage(
      "BMP, which this program was built without: install libstb-dev and build again, or convert "
      "it");
}

}  // namespace

ImageSize read_bmp_size(std::span<const uint8_t>) {
  refuse();
}

void decode_bmp(std::span<const uint8_t>, Image&) {
  refuse();
}

}  // namespace resnext
