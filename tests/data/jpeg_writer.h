// Writes JPEG in tests as libjpeg lets one: coefficients again in another form, or odd samplings.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <turbojpeg.h>

#include <functional>
#include <stdexcept>

#include "data/image/jpeg_library.h"
#include "tests/data/support.h"

namespace resnext::testing {

// With one of TurboJPEG's chroma samplings.
inline Bytes encode_sampled(const Image& image, int sampling, int quality = 85, int flags = 0) {
  tjhandle compressor = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  const int failed = tjCompress2(compressor, image.pixels.data(), static_cast<int>(image.width), 0,
                                 static_cast<int>(image.height), TJPF_RGB, &buffer, &size, sampling,
                                 quality, flags);
  if (failed != 0) throw std::runtime_error(tjGetErrorStr2(compressor));
  const Bytes bytes(buffer, buffer + size);
  tjFree(buffer);
  tjDestroy(compressor);
  return bytes;
}

// The coefficients of a JPEG written again, once `change` has seen both and what is to be written.
using Rewriting = std::function<void(jpeg_decompress_struct& in, jvirt_barray_ptr* coefficients,
                                     jpeg_compress_struct& out)>;
inline Bytes rewrite_jpeg(const Bytes& jpeg, const Rewriting& change) {
  Bytes bytes(3 * jpeg.size() + 10000);
  Decompressor source(jpeg);
  Compressor destination(source.errors(), bytes);
  jpeg_decompress_struct& in = source.info();
  jpeg_compress_struct& out = destination.info();
  jvirt_barray_ptr* coefficients = nullptr;
  source.guarded([&] {
    coefficients = jpeg_read_coefficients(&in);
    jpeg_copy_critical_parameters(&in, &out);
  });
  change(in, coefficients, out);
  source.guarded([&] {
    jpeg_write_coefficients(&out, coefficients);
    jpeg_finish_compress(&out);
  });
  bytes.resize(destination.size());
  return bytes;
}

// One of the blocks that rewrite_jpeg() gives.
inline JBLOCK& block_of(jpeg_decompress_struct& in, jvirt_barray_ptr* coefficients, int component,
                        JDIMENSION row, JDIMENSION column) {
  JBLOCKARRAY blocks = in.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&in),
                                                  coefficients[component], row, 1, TRUE);
  return blocks[0][column];
}

// A grey image of three colours whose blocks in a unit are so many beside each other.
inline Bytes jpeg_of_sampling(JDIMENSION height, JDIMENSION width, const int (&sampling)[3]) {
  Bytes bytes(100000);
  JpegErrors errors;
  Compressor destination(errors, bytes);
  jpeg_compress_struct& out = destination.info();
  jvirt_barray_ptr coefficients[3];
  errors.guarded([&] {
    out.image_height = height;
    out.image_width = width;
    out.input_components = 3;
    out.in_color_space = JCS_YCbCr;
    jpeg_set_defaults(&out);
    for (int c = 0; c < 3; ++c) {
      out.comp_info[c].h_samp_factor = sampling[c];
      out.comp_info[c].v_samp_factor = 1;
      coefficients[c] = out.mem->request_virt_barray(reinterpret_cast<j_common_ptr>(&out),
                                                     JPOOL_IMAGE, TRUE, width, height, 1);
    }
    jpeg_write_coefficients(&out, coefficients);
    jpeg_finish_compress(&out);
  });
  bytes.resize(destination.size());
  return bytes;
}

}  // namespace resnext::testing
