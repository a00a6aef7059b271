// bfloat16 by its definition, without a look at bits: 8 significant bits, exponents as of float32.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace resnext::test {

struct Bfloat16 {
  Bfloat16() = default;
  // Rounds to nearest, ties to even. No NaN.
  explicit Bfloat16(double value) {
    int exponent = 0;
    std::frexp(value, &exponent);
    const int last = std::max(exponent - 8, -133);  // place of the last bit
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -last)), last);
    bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(rounded)) >> 16);
  }
  static Bfloat16 of_bits(uint16_t bits) {
    Bfloat16 it;
    it.bits = bits;
    return it;
  }
  bool operator==(const Bfloat16&) const = default;

  double value() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

  uint16_t bits = 0;
};

}  // namespace resnext::test
