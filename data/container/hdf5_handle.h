// Small owners and helpers around the HDF5 C API.
//
// HDF5 keeps one lock for the whole process: none of this belongs on the hot path. Close errors
// are ignored by the owners; a writer that must know calls close() itself.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

namespace resnext {

// Owner of one hid_t and the function that closes it.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close close_function) : id_(id), close_(close_function) {}
  ~Hdf5Handle() { close(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    if (this != &other) {
      close();
      id_ = std::exchange(other.id_, H5I_INVALID_HID);
      close_ = other.close_;
    }
    return *this;
  }

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  // False when HDF5 reports an error, e.g. because the disk is full. One that was reported before
  // and is not told yet stays what hdf5_error() tells.
  bool close();

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// While it lives, HDF5 does not print its error stack of this thread: our errors say more.
class Hdf5ErrorsSilenced {
 public:
  Hdf5ErrorsSilenced() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Hdf5ErrorsSilenced() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  Hdf5ErrorsSilenced(const Hdf5ErrorsSilenced&) = delete;
  Hdf5ErrorsSilenced& operator=(const Hdf5ErrorsSilenced&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// The process's one lock around HDF5, which need not be built thread-safe.
std::unique_lock<std::mutex> lock_hdf5();

// The innermost message of HDF5's error stack of this thread; empty when there is none.
std::string hdf5_error();

// File access without file locking, which network file systems refuse.
Hdf5Handle hdf5_file_access();

}  // namespace resnext
