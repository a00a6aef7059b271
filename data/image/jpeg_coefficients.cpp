// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/jpeg_coefficients.h"

#include <algorithm>
#include <cstring>

namespace resnext {
namespace {

bool same_component(const jpeg_component_info& a, const jpeg_component_info& b) {
  return a.h_samp_factor == b.h_samp_factor && a.v_samp_factor == b.v_samp_factor &&
         a.width_in_blocks == b.width_in_blocks && a.height_in_blocks == b.height_in_blocks &&
         std::equal(std::begin(a.quant_table->quantval), std::end(a.quant_table->quantval),
                    std::begin(b.quant_table->quantval));
}

}  // namespace

JpegCoefficients::JpegCoefficients(Decompressor& jpeg)
    : jpeg_(jpeg), rows_(static_cast<size_t>(jpeg.info().num_components)) {
  jpeg_decompress_struct& in = jpeg.info();
  jpeg.guarded([&] { arrays_ = jpeg_read_coefficients(&in); });
  for (int c = 0; c < in.num_components; ++c) {
    auto& rows = rows_[static_cast<size_t>(c)];
    rows.resize(in.comp_info[c].height_in_blocks);
    // libjpeg's memory manager holds all rows at once or fails.
    jpeg.guarded([&] {
      for (JDIMENSION y = 0; y < in.comp_info[c].height_in_blocks; ++y) {
        rows[y] = *in.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&in), arrays_[c], y, 1,
                                              FALSE);
      }
    });
  }
}

bool JpegCoefficients::complete() const {
  const jpeg_decompress_struct& in = info();
  if (in.coef_bits == nullptr) return true;
  return std::all_of(in.coef_bits, in.coef_bits + in.num_components,
                     [](const int(&bits)[DCTSIZE2]) {
                       return std::ranges::all_of(bits, [](int missing) { return missing == 0; });
                     });
}

bool JpegCoefficients::operator==(const JpegCoefficients& other) const {
  const jpeg_decompress_struct &a = info(), &b = other.info();
  if (a.image_width != b.image_width || a.image_height != b.image_height ||
      a.num_components != b.num_components || a.jpeg_color_space != b.jpeg_color_space) {
    return false;
  }
  for (int c = 0; c < a.num_components; ++c) {
    const jpeg_component_info& component = a.comp_info[c];
    if (!same_component(component, b.comp_info[c])) return false;
    for (JDIMENSION y = 0; y < component.height_in_blocks; ++y) {
      if (std::memcmp(row(c, y), other.row(c, y), component.width_in_blocks * sizeof(JBLOCK)) !=
          0) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace resnext
