// Equal cost at another cardinality: which base_width a network must have.
//
// Rule: the smallest even base_width that gives every stage whole channels and costs no less than
// the reference. For ResNeXt-50 and parameters it gives the 1x row of Xie et al. 2017 (arXiv
// 1611.05431, table 2): 1x64d, 2x40d, 4x24d, 8x14d, 32x4d. (The nearest width would be 63 for
// cardinality 1 and 39 for 2, the nearest even one 62 for 1.) A pure function.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "configs/sweep_reader.h"
#include "model/model_options.h"

namespace resnext {

// Cost may exceed the reference's by this share at most; a coarser step is no match.
inline constexpr double kMatchTolerance = 0.10;

// `reference`: with its own cardinality and base_width, and classes known. `image_size`: pixels.
// Throws ConfigError with `where` when no width costs within the tolerance.
int64_t matched_width(const ModelOptions& reference, int64_t cardinality, int64_t image_size,
                      Match match, const std::string& where);

}  // namespace resnext
