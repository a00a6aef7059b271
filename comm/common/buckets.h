// How gradients are divided into the buckets that are summed at once.
//
// The reducer builds its buckets so, and the launcher predicts with them. Pure functions.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace resnext {

// Each gradient starts at a multiple of so many bytes: a cache line, and the widest vector of a
// CPU.
inline constexpr int64_t kGradientAlignment = 64;

constexpr int64_t padded_bytes(int64_t bytes) {
  return (bytes + kGradientAlignment - 1) / kGradientAlignment * kGradientAlignment;
}

// The bucket of each gradient, by their padded sizes in the order in which they become ready. A
// bucket is full before it exceeds its limit, `first_limit` for the first one; a gradient that is
// larger has one of its own.
inline std::vector<size_t> assign_buckets(const std::vector<int64_t>& padded_sizes,
                                          int64_t first_limit, int64_t limit) {
  std::vector<size_t> bucket_of;
  size_t buckets = 0;
  int64_t bytes = 0;
  for (const int64_t size : padded_sizes) {
    if (buckets == 0 || bytes + size > (buckets == 1 ? first_limit : limit)) {
      ++buckets;
      bytes = 0;
    }
    bytes += size;
    bucket_of.push_back(buckets - 1);
  }
  return bucket_of;
}

}  // namespace resnext
