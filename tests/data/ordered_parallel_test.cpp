// Results in order from any number of threads, and an end in every case.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/loader/ordered_parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "comm/common/error.h"
#include "tests/support/thread_limit.h"

namespace resnext {
namespace {

int64_t square(int64_t i) {
  return i * i;
}

TEST(OrderedParallel, HandsResultsOverInOrder) {
  for (const int64_t threads : {1, 3, 8}) {
    std::vector<int64_t> seen;
    ordered_parallel(100, threads, square, [&](int64_t i, int64_t result) {
      EXPECT_EQ(result, i * i);
      seen.push_back(i);
    });
    ASSERT_EQ(seen.size(), 100U);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  }
}

TEST(OrderedParallel, TheFirstErrorInOrderEndsIt) {
  const auto odd = [](int64_t i) -> int64_t {
    if (i % 2 == 1) throw std::runtime_error(std::to_string(i));
    return i;
  };
  try {
    ordered_parallel(50, 4, odd, [](int64_t, int64_t) {});
    ADD_FAILURE() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "1");
  }
}

// What has been started must be told to stop: the constructor would wait for it without end.
TEST(OrderedParallel, EndsWhenTheSystemGivesNoMoreThreads) {
  for (const int given : {3, 1, 0}) {
    const test::ThreadLimit limit(given);
    try {
      ordered_parallel(1'000'000, 4, square, [](int64_t, int64_t) {});
      ADD_FAILURE() << "no error";
    } catch (const ConfigError& error) {
      const std::string expected = "only " + std::to_string(given) + " of 4";
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace resnext
