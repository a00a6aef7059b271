// Labels as other programs store them.
//
// Integers, truth values, or floats with whole values as [N] or [N,1]; one-hot rows [N,C]; strings.
// The caller holds lock_hdf5() and Hdf5ErrorsSilenced. Throws DataError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/classes.h"
#include "data/hdf5_reading.h"

namespace resnext {

struct Hdf5Labels {
  std::vector<int64_t> labels;
  ClassNames class_names;  // of strings: the names that occur, in order; else empty
};

// Whether `info` can be the labels of `count` images, by shape and type.
bool can_be_labels(const DatasetInfo& info, uint64_t count);

// `class_names` where the file has them: strings are then looked for among them.
Hdf5Labels read_hdf5_labels(const Hdf5Reader& reader, const DatasetInfo& info, uint64_t count,
                            const ClassNames& class_names);

}  // namespace resnext
