// Owners of libjpeg's objects, whose errors become DamagedImage.
//
// libjpeg reports errors by a function that must not return, so each group of calls runs inside
// guarded(), which is setjmp(): there no object with a destructor may begin to live.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csetjmp>
#include <cstdio>
// jpeglib.h needs size_t and FILE from above.
#include <jpeglib.h>

#include <cstdint>
#include <span>
#include <string>

#include "data/image/image_decoder.h"

namespace resnext {

// What a decompressor, and a compressor that works with it, do with errors and warnings.
class JpegErrors {
 public:
  JpegErrors();
  JpegErrors(const JpegErrors&) = delete;
  JpegErrors& operator=(const JpegErrors&) = delete;

  // Makes these the errors of an object that is to be created.
  template <typename Info>
  void attach(Info& info) {
    info.err = &manager_;
    info.client_data = this;
  }
  // Makes a file of very many scans an error. After the decompressor is created.
  void limit_scans(jpeg_decompress_struct& info) { info.progress = &progress_; }

  // Runs libjpeg calls; throws DamagedImage when one of them fails.
  template <typename Calls>
  void guarded(const Calls& calls) {
    if (setjmp(escape_) != 0) throw DamagedImage(std::string("damaged JPEG: ") + message_);
    calls();
  }

 private:
  static JpegErrors& of(j_common_ptr info) { return *static_cast<JpegErrors*>(info->client_data); }
  [[noreturn]] void escape(j_common_ptr info);
  void check_warning(j_common_ptr info);
  void check_scans(j_common_ptr info);

  jpeg_error_mgr manager_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf escape_{};
  char message_[JMSG_LENGTH_MAX] = "";
};

// Owner of a libjpeg decompressor that has read the header. Does not own the bytes.
class Decompressor {
 public:
  // Throws DamagedImage, also of impossible sizes.
  explicit Decompressor(std::span<const uint8_t> bytes);

  jpeg_decompress_struct& info() { return handle_.info; }
  JpegErrors& errors() { return errors_; }
  template <typename Calls>
  void guarded(const Calls& calls) {
    errors_.guarded(calls);
  }

 private:
  // A member of its own, so that it is destroyed when the constructor throws.
  struct Handle {
    jpeg_decompress_struct info{};
    ~Handle() { jpeg_destroy_decompress(&info); }
  };

  JpegErrors errors_;
  Handle handle_;
};

// Owner of a libjpeg compressor that writes to given memory; more than that holds is an error.
class Compressor {
 public:
  // Both must outlive it.
  Compressor(JpegErrors& errors, std::span<uint8_t> memory);
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  jpeg_compress_struct& info() { return handle_.info; }
  // Bytes that were written.
  size_t size() const { return memory_.size() - destination_.free_in_buffer; }

 private:
  struct Handle {
    jpeg_compress_struct info{};
    ~Handle() { jpeg_destroy_compress(&info); }
  };

  std::span<uint8_t> memory_;
  jpeg_destination_mgr destination_{};
  Handle handle_;
};

}  // namespace resnext
