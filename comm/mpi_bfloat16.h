// Reductions of bfloat16 over MPI, which does not know the type.
//
// A bfloat16 is the upper half of a float32 and travels as MPI_UINT16_T. Each combination of two
// values is computed in float32 and rounded to nearest, ties to even. Every NaN becomes the same
// one: which of two is met first differs from rank to rank.
// Local; construction throws CommError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mpi.h>

#include <cstddef>

#include "comm/communicator.h"

namespace resnext {

// Owner of a commutative operation of ours.
class MpiOp {
 public:
  explicit MpiOp(MPI_User_function* function);
  ~MpiOp();
  MpiOp(const MpiOp&) = delete;
  MpiOp& operator=(const MpiOp&) = delete;

  MPI_Op get() const { return op_; }

 private:
  MPI_Op op_ = MPI_OP_NULL;
};

class Bfloat16Ops {
 public:
  Bfloat16Ops();
  // kMean: that of the sum.
  MPI_Op get(ReduceOp op) const;

 private:
  MpiOp sum_, max_, min_;
};

// Divides each of the `count` bfloat16 at `data`.
void divide_bfloat16(void* data, size_t count, int by);

}  // namespace resnext
