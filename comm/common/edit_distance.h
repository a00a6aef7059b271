// How much two words differ. A pure function; throws nothing but std::bad_alloc.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace resnext {

// Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`.
// Cost: |a| * |b| steps.
int edit_distance(std::string_view a, std::string_view b);

}  // namespace resnext
