// Whether the elements of a dataset are really there.
//
// HDF5 returns the fill value, mostly 0, without an error for what was never written, for virtual
// datasets whose source has moved (HDF5 1.10 reference, H5Pset_virtual), and for external files
// that are too short (H5Pset_external). The caller holds lock_hdf5() and Hdf5ErrorsSilenced. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hdf5.h>

#include <string>

namespace resnext {

// What is missing, in words; empty: nothing. `file`: the path of the dataset's file. A dataset that
// was allocated and never written cannot be told from black images.
std::string missing_storage(hid_t dataset, const std::string& file);

// The compression of the dataset that this HDF5 has no plugin for: its name and number; empty:
// none.
std::string missing_filter(hid_t dataset);

}  // namespace resnext
