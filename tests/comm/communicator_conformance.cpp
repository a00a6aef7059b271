// SPDX-License-Identifier: BSD-3-Clause
#include "tests/comm/communicator_conformance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "tests/comm/bfloat16_reference.h"

namespace resnext::test {
namespace {

template <class T>
constexpr bool kHasMean = !std::is_integral_v<T>;

template <class T>
constexpr DataType type_of() {
  if constexpr (std::is_same_v<T, uint8_t>) return DataType::kUint8;
  if constexpr (std::is_same_v<T, int64_t>) return DataType::kInt64;
  if constexpr (std::is_same_v<T, Bfloat16>) return DataType::kBfloat16;
  if constexpr (std::is_same_v<T, float>) return DataType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return DataType::kFloat64;
}

template <class T>
Buffer view(std::vector<T>& values) {
  return {values.data(), values.size(), type_of<T>()};
}

// Rank r holds i % 16 + r at position i: exact in every type.
template <class T>
std::vector<T> pattern(int rank, size_t count) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(static_cast<double>(i % 16) + rank);
  return values;
}

template <class T>
T reduced(ReduceOp op, size_t i, int size) {
  const double first = static_cast<double>(i % 16);
  const double sum = first * size + size * (size - 1) / 2.0;
  switch (op) {
    case ReduceOp::kSum:
      return static_cast<T>(sum);
    case ReduceOp::kMean:
      return static_cast<T>(sum / size);
    case ReduceOp::kMax:
      return static_cast<T>(first + size - 1);
    case ReduceOp::kMin:
      return static_cast<T>(first);
  }
  return T{};
}

template <class T>
void expect_all_reduce(Communicator& c, ReduceOp op, size_t count) {
  std::vector<T> values = pattern<T>(c.rank(), count);
  c.all_reduce(view(values), op);
  for (size_t i = 0; i < count; ++i) ASSERT_EQ(values[i], reduced<T>(op, i, c.size())) << i;
}

template <class T>
void expect_type(Communicator& c) {
  for (size_t count : {size_t{1}, size_t{7}, size_t{100'003}}) {
    for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
      expect_all_reduce<T>(c, op, count);
    }
    if (kHasMean<T>) expect_all_reduce<T>(c, ReduceOp::kMean, count);
    for (int root = 0; root < c.size(); ++root) {
      std::vector<T> values = pattern<T>(c.rank(), count);
      c.broadcast(view(values), root);
      ASSERT_EQ(values, pattern<T>(root, count));
    }
    std::vector<T> mine = pattern<T>(c.rank(), count), all(count * c.size()), expected;
    c.all_gather(view(mine), view(all));
    for (int r = 0; r < c.size(); ++r) {
      const std::vector<T> part = pattern<T>(r, count);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    ASSERT_EQ(all, expected);
  }
}

// Many at once, waited for in another order than started.
void expect_many_in_flight(Communicator& c) {
  std::vector<std::vector<double>> buffers;
  for (size_t i = 0; i < 32; ++i) buffers.push_back(pattern<double>(c.rank(), 100 * i));
  std::vector<Ticket> tickets;
  for (auto& buffer : buffers) tickets.push_back(c.start_all_reduce(view(buffer), ReduceOp::kSum));
  EXPECT_TRUE(std::is_sorted(tickets.begin(), tickets.end()));
  for (size_t i = buffers.size(); i-- > 0;) c.wait(tickets[i]);
  for (const auto& buffer : buffers) {
    for (size_t j = 0; j < buffer.size(); ++j) {
      ASSERT_EQ(buffer[j], reduced<double>(ReduceOp::kSum, j, c.size()));
    }
  }
}

// Groups' collectives are independent of the whole's, whichever a rank starts first.
void expect_split(Communicator& c) {
  for (int ranks = 1; ranks <= c.size(); ++ranks) {
    if (c.size() % ranks != 0) continue;
    const std::unique_ptr<Communicator> group = c.split(ranks);
    ASSERT_EQ(group->size(), ranks);
    ASSERT_EQ(group->rank(), c.rank() % ranks);
    std::vector<double> whole = pattern<double>(c.rank(), 1000), part = whole;
    const auto start_whole = [&] { return c.start_all_reduce(view(whole), ReduceOp::kSum); };
    Ticket ticket = 0;
    if (c.rank() % 2 == 0) ticket = start_whole();
    group->all_reduce(view(part), ReduceOp::kSum);
    if (c.rank() % 2 != 0) ticket = start_whole();
    c.wait(ticket);
    const int first = c.rank() - group->rank();
    for (size_t i = 0; i < part.size(); ++i) {
      ASSERT_EQ(part[i], reduced<double>(ReduceOp::kSum, i, ranks) + first * ranks);
      ASSERT_EQ(whole[i], reduced<double>(ReduceOp::kSum, i, c.size()));
    }
    group->close();
  }
}

}  // namespace

void expect_conformance(Communicator& communicator) {
  ASSERT_GE(communicator.rank(), 0);
  ASSERT_LT(communicator.rank(), communicator.size());
  expect_type<float>(communicator);
  expect_type<double>(communicator);
  expect_type<Bfloat16>(communicator);
  expect_type<int64_t>(communicator);
  expect_type<uint8_t>(communicator);
  expect_many_in_flight(communicator);
  expect_split(communicator);
  communicator.barrier();
}

}  // namespace resnext::test
