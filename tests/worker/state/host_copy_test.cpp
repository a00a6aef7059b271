// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/host_copy.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace resnext {
namespace {

// Of each type, dense and not, and whichever tensor of the state it is in.
TEST(AllFinite, FindsTheOneValueThatIsNot) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (const double bad : {kInfinity, -kInfinity, std::nan("")}) {
      for (const size_t where : {0, 1, 2}) {
        StateDict state;
        for (const char* name : {"a", "b", "c"}) {
          state.emplace_back(name, at::full({4, 6}, 1.5, type).slice(1, 0, 5));
        }
        state.emplace_back("steps", at::full({}, 3, at::kLong));
        EXPECT_TRUE(all_finite(state));
        state[where].second[3][4] = bad;
        EXPECT_FALSE(all_finite(state)) << type << " " << bad << " " << where;
        state[where].second = state[where].second.contiguous();
        EXPECT_FALSE(all_finite(state)) << type << " " << bad << " " << where;
      }
    }
  }
  EXPECT_TRUE(all_finite({}));
}

}  // namespace
}  // namespace resnext
