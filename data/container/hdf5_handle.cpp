// HDF5 property lists and error text.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/hdf5_handle.h"

namespace resnext {

// Each call into HDF5 forgets what the one before has reported, closing too.
bool Hdf5Handle::close() {
  if (id_ < 0) return true;
  const hid_t reported = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : H5I_INVALID_HID;
  const bool closed = close_(std::exchange(id_, H5I_INVALID_HID)) >= 0;
  if (reported < 0) return closed;
  closed ? H5Eset_current_stack(reported) : H5Eclose_stack(reported);
  return closed;
}

std::unique_lock<std::mutex> lock_hdf5() {
  static std::mutex mutex;  // HDF5's own state is one for the process, so is this
  // We close what we open; HDF5's clean-up at exit would complain about what a damaged file left.
  [[maybe_unused]] static const herr_t no_clean_up = H5dont_atexit();
  return std::unique_lock(mutex);
}

std::string hdf5_error() {
  std::string text;
  const auto innermost = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
    if (error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, innermost, &text);
  return text;
}

Hdf5Handle hdf5_file_access() {
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access.get(), false, true);
  return access;
}

}  // namespace resnext
