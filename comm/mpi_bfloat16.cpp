// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_bfloat16.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "comm/mpi_check.h"

namespace resnext {
namespace {

float to_float(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

// Adds just under half a unit of the last place kept, or exactly half where that place is odd.
uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return value == value ? static_cast<uint16_t>(rounded >> 16) : uint16_t{0x7fc0};
}

// The function that MPI calls: inout[i] = f(in[i], inout[i]).
template <float (*f)(float, float)>
void combine(void* in, void* inout, int* count, MPI_Datatype*) {
  const auto* from = static_cast<const uint16_t*>(in);
  auto* to = static_cast<uint16_t*>(inout);
  for (int i = 0; i < *count; ++i) to[i] = to_bfloat16(f(to_float(from[i]), to_float(to[i])));
}

float add(float a, float b) {
  return a + b;
}

float larger(float a, float b) {
  return std::max(a, b);
}

float smaller(float a, float b) {
  return std::min(a, b);
}

}  // namespace

MpiOp::MpiOp(MPI_User_function* function) {
  check_mpi(MPI_Op_create(function, /*commute=*/1, &op_), "MPI_Op_create");
}

MpiOp::~MpiOp() {
  MPI_Op_free(&op_);
}

Bfloat16Ops::Bfloat16Ops() : sum_(combine<add>), max_(combine<larger>), min_(combine<smaller>) {}

MPI_Op Bfloat16Ops::get(ReduceOp op) const {
  switch (op) {
    case ReduceOp::kSum:
    case ReduceOp::kMean:
      return sum_.get();
    case ReduceOp::kMax:
      return max_.get();
    case ReduceOp::kMin:
      return min_.get();
  }
  return MPI_OP_NULL;
}

void divide_bfloat16(void* data, size_t count, int by) {
  auto* values = static_cast<uint16_t*>(data);
  for (size_t i = 0; i < count; ++i) {
    values[i] = to_bfloat16(to_float(values[i]) / static_cast<float>(by));
  }
}

}  // namespace resnext
