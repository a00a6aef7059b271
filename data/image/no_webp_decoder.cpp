// Stands in where libwebp was not there when this was built.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/more_formats.h"

namespace resnext {
namespace {

[[noreturn]] void refuse() {
  throw DamagedImage(
      "WebP, which this program was built without: install libwebp-dev and build again, or convert "
      "it");
}

}  // namespace

ImageSize read_webp_size(std::span<const uint8_t>) {
  refuse();
}

void decode_webp(std::span<const uint8_t>, Image&) {
  refuse();
}

}  // namespace resnext
