// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_bfloat16.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tests/comm/bfloat16_reference.h"

namespace resnext {
namespace {

using test::Bfloat16;

// All there are.
std::vector<uint16_t> every_pattern() {
  std::vector<uint16_t> patterns(1 << 16);
  std::iota(patterns.begin(), patterns.end(), uint16_t{0});
  return patterns;
}

double value_of(uint16_t pattern) {
  return Bfloat16::of_bits(pattern).value();
}

// What the operation makes of `values` and `other`, and expected(value, other) in float64.
template <class F>
void expect_combines(ReduceOp op, uint16_t other, F expected) {
  const std::vector<uint16_t> values = every_pattern();
  std::vector<uint16_t> result(values.size(), other);
  ASSERT_EQ(MPI_Reduce_local(values.data(), result.data(), static_cast<int>(values.size()),
                             MPI_UINT16_T, Bfloat16Ops().get(op)),
            MPI_SUCCESS);
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = value_of(values[i]), with = value_of(other);
    if (std::isnan(value) || std::isnan(with)) continue;
    const double exact = expected(value, with);
    if (std::isnan(exact)) {
      ASSERT_TRUE(std::isnan(value_of(result[i]))) << value << " " << with;
    } else {
      ASSERT_EQ(value_of(result[i]), Bfloat16(exact).value()) << value << " " << with;
    }
  }
}

// Zeros, subnormals, halves and ties, the largest, infinities.
const std::vector<uint16_t> kOthers = {0x0000, 0x8000, 0x0001, 0x8001, 0x0080, 0x3f80, 0xbf80,
                                       0x3c00, 0x3b80, 0xbb81, 0x4049, 0x4380, 0xc37f, 0x7f7f,
                                       0xff7f, 0x7f80, 0xff80, 0x0123, 0x2345, 0xabcd};

TEST(MpiBfloat16, EachSumIsTheExactOneRoundedToNearestEven) {
  for (uint16_t other : kOthers) {
    expect_combines(ReduceOp::kSum, other, [](double a, double b) { return a + b; });
  }
}

TEST(MpiBfloat16, LargerAndSmaller) {
  for (uint16_t other : kOthers) {
    expect_combines(ReduceOp::kMax, other, [](double a, double b) { return std::fmax(a, b); });
    expect_combines(ReduceOp::kMin, other, [](double a, double b) { return std::fmin(a, b); });
  }
}

TEST(MpiBfloat16, NaNStaysNaNAndBecomesTheSame) {
  std::vector<uint16_t> values = every_pattern();
  std::erase_if(values, [](uint16_t it) { return !std::isnan(value_of(it)); });
  ASSERT_EQ(values.size(), 2U * 127);
  for (uint16_t other : kOthers) {
    std::vector<uint16_t> result(values.size(), other);
    MPI_Reduce_local(values.data(), result.data(), static_cast<int>(values.size()), MPI_UINT16_T,
                     Bfloat16Ops().get(ReduceOp::kSum));
    for (uint16_t it : result) ASSERT_EQ(it, 0x7fc0);
  }
  divide_bfloat16(values.data(), values.size(), 3);
  for (uint16_t it : values) ASSERT_EQ(it, 0x7fc0);
}

TEST(MpiBfloat16, EachQuotientIsTheExactOneRounded) {
  for (int by : {2, 3, 7}) {
    std::vector<uint16_t> result = every_pattern();
    divide_bfloat16(result.data(), result.size(), by);
    for (size_t i = 0; i < result.size(); ++i) {
      const double value = value_of(static_cast<uint16_t>(i));
      if (std::isnan(value)) continue;
      ASSERT_EQ(value_of(result[i]), Bfloat16(value / by).value()) << value << " " << by;
    }
  }
}

}  // namespace
}  // namespace resnext
