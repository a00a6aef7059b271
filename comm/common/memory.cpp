// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/memory.h"

#include <malloc.h>

namespace resnext {

void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 256 << 20);
}

}  // namespace resnext
