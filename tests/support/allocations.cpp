// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<uint64_t> count = 0;
std::atomic<uint64_t> bytes = 0;

}  // namespace

namespace resnext::test {

Allocations allocations() {
  return {count, bytes};
}

}  // namespace resnext::test

// The forms for arrays and the others that do not throw call these.
void* operator new(size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(size, std::memory_order_relaxed);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
