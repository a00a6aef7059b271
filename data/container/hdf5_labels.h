// Labels as other programs store them.
//
// Integers, truth values, or floats with whole values as [N] or [N,1]; one-hot rows [N,C]; strings.
// The caller holds lock_hdf5() and Hdf5ErrorsSilenced. Throws DataError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "data/container/classes.h"
#include "data/container/hdf5_reading.h"

namespace resnext {

struct Hdf5Labels {
  std::vector<int64_t> labels;
  ClassNames class_names;  // those given, else of strings those that occur, of enumerations all
  int64_t classes = 0;     // at least so many, of one-hot rows; 0: as many as the labels say
};

// The names of the classes: text named class_names, an attribute of the reader's group or of the
// labels, a dataset of the group, or an attribute of the file. Empty: there are none.
ClassNames find_class_names(const Hdf5Reader& reader, const DatasetInfo& labels);

// Whether `info` can be the labels of `count` images, by shape and type.
bool can_be_labels(const DatasetInfo& info, uint64_t count);

// `class_names` where the file has them: strings are then looked for among them.
Hdf5Labels read_hdf5_labels(const Hdf5Reader& reader, const DatasetInfo& info, uint64_t count,
                            const ClassNames& class_names);

}  // namespace resnext
