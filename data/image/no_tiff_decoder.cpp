// Stands in where libtiff was not there when this was built.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/more_formats.h"

namespace resnext {
namespace {

[[noreturn]] void refuse() {
  throw DamagedImage(
      "TIFF, which this program was built without: install libtiff-dev and build again, or convert "
      "it");
}

}  // namespace

ImageSize read_tiff_size(std::span<const uint8_t>) {
  refuse();
}

void decode_tiff(std::span<const uint8_t>, Image&) {
  refuse();
}

}  // namespace resnext
