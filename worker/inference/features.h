// What a network makes of a validation split before its classifier, for other programs to learn
// from.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "comm/communicator.h"
#include "worker/inference/saved_network.h"

namespace resnext {

// COLLECTIVE. Rank 0 writes an HDF5 file, whole or not at all: `/features` float32 [N, F], the
// means over pixels (and over crops), `/labels` int64 [N], both in the split's order, and
// `/class_names`, UTF-8 strings. False when a rank was asked to stop. Throws DataError,
// OutputError, on all ranks.
bool write_features(SavedNetwork& network, const DataSets& sets, const std::string& path,
                    Communicator& communicator);

}  // namespace resnext
