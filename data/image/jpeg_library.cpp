// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/jpeg_library.h"

#include <jerror.h>

#include "data/image/jpeg_decoder.h"

namespace resnext {
namespace {

// A progressive file of many scans takes minutes to decode; honest ones have about ten.
constexpr int kMaxScans = 200;

}  // namespace

JpegErrors::JpegErrors() {
  jpeg_std_error(&manager_);
  manager_.error_exit = [](j_common_ptr info) { of(info).escape(info); };
  manager_.emit_message = [](j_common_ptr info, int level) {
    if (level < 0) of(info).check_warning(info);
  };
  progress_.progress_monitor = [](j_common_ptr info) { of(info).check_scans(info); };
}

void JpegErrors::escape(j_common_ptr info) {
  manager_.format_message(info, message_);
  std::longjmp(escape_, 1);
}

// Warnings that mean lost pixels are errors; stray bytes between segments are not.
void JpegErrors::check_warning(j_common_ptr info) {
  switch (manager_.msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
      escape(info);
    default:
      break;
  }
}

void JpegErrors::check_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  manager_.msg_code = JERR_BAD_PROGRESSION;
  escape(info);
}

Decompressor::Decompressor(std::span<const uint8_t> bytes) {
  jpeg_decompress_struct& info = handle_.info;
  errors_.attach(info);
  errors_.guarded([&] {
    jpeg_create_decompress(&info);
    errors_.limit_scans(info);
    jpeg_mem_src(&info, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&info, TRUE);
  });
  check_image_size(info.image_height, info.image_width);
}

Compressor::Compressor(JpegErrors& errors, std::span<uint8_t> memory) : memory_(memory) {
  destination_.next_output_byte = memory.data();
  destination_.free_in_buffer = memory.size();
  destination_.init_destination = [](j_compress_ptr) {};
  destination_.empty_output_buffer = [](j_compress_ptr info) -> boolean {
    ERREXIT(info, JERR_BUFFER_SIZE);
    return FALSE;
  };
  destination_.term_destination = [](j_compress_ptr) {};
  errors.attach(handle_.info);
  errors.guarded([&] {
    jpeg_create_compress(&handle_.info);
    handle_.info.dest = &destination_;
  });
}

}  // namespace resnext
