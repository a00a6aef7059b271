// What batch normalisation a convolution could do on its way: in its epilogue, where its output
// leaves the arithmetic units, and in its prologue, where its input arrives there.
//
// Each takes a whole pass over an activation away from BN (model/norm/fused_norm.h). Statistics of
// a BN whose input is the convolution's output are sums over that output, taken as it is written.
// BN's and ReLU's arithmetic is one multiply-add and a maximum for each value, applied as the next
// convolution reads it, once the statistics are known. In backward the convolution writes the
// gradient of that BN's output, so that BN's two sums over it can be taken there; they need the
// BN's input too. All three need the activation to have no other reader.
// Both sums are executed (model/convolution/convolution_kernels.h). The prologue is not: cuDNN 9.19
// has it in forward for bfloat16, but not in the weight's gradient, so that backward would have to
// write the activation that forward did not. Pure functions of the plan; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "model/network/plan.h"

namespace resnext {

struct ConvolutionNeighbours {
  size_t convolution = 0;               // its place in the plan
  std::optional<size_t> statistics_of;  // the BN whose sums its epilogue could take
  // The BN, with its ReLU, that its prologue could apply, and whose backward's sums could be taken
  // in the epilogue of its input's gradient.
  std::optional<size_t> normalised_by;
};

// Of every convolution, in the plan's order.
std::vector<ConvolutionNeighbours> convolution_neighbours(const NetworkPlan& plan);

}  // namespace resnext
