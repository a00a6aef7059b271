// Decodes PNG of every kind to 8-bit RGB.
//
// libpng reports errors by longjmp: as in jpeg_decoder.cpp, no object with a destructor may begin
// to live between setjmp and longjmp.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/png_decoder.h"

#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

#include "data/image/jpeg_decoder.h"

namespace resnext {
namespace {

constexpr png_uint_32 kMaxSide = 1 << 16;
constexpr png_alloc_size_t kMaxChunkBytes = 64 << 20;

// Owner of a libpng reader and of its error state.
class PngReader {
 public:
  explicit PngReader(std::span<const uint8_t> bytes) : left_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) throw DamagedImage("libpng cannot start");
    guarded([&] {
      png_set_user_limits(png_, kMaxSide, kMaxSide);
      png_set_chunk_malloc_max(png_, kMaxChunkBytes);
      png_set_read_fn(png_, this, on_read);
      png_read_info(png_, info_);
    });
    check_image_size(png_get_image_height(png_, info_), png_get_image_width(png_, info_));
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  ImageSize size() const {
    return {png_get_image_height(png_, info_), png_get_image_width(png_, info_)};
  }

  void ask_for_rgb() {
    guarded([&] {
      png_set_strip_16(png_);
      png_set_packing(png_);
      png_set_strip_alpha(png_);
      const auto type = png_get_color_type(png_, info_);
      if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
      if (type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png_, info_) < 8) {
        png_set_expand_gray_1_2_4_to_8(png_);
      }
      if ((type & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
      png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
    if (png_get_rowbytes(png_, info_) != static_cast<size_t>(size().width) * 3) {
      throw DamagedImage("PNG cannot be read as RGB");
    }
  }

  void read(png_bytep* rows) {
    guarded([&] {
      png_read_image(png_, rows);
      png_read_end(png_, nullptr);
    });
  }

 private:
  // A member of its own, so that it is destroyed when the constructor throws.
  struct Handle {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Handle() { png_destroy_read_struct(&png, &info, nullptr); }
  };

  template <typename Calls>
  void guarded(const Calls& calls) {
    if (setjmp(png_jmpbuf(png_)) != 0) throw DamagedImage(std::string("damaged PNG: ") + message_);
    calls();
  }

  static void on_error(png_structp png, png_const_charp message) {
    auto& self = *static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self.message_, message, sizeof(self.message_) - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, size_t bytes) {
    auto& self = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (bytes > self.left_.size()) png_error(png, "the data end early");
    std::memcpy(out, self.left_.data(), bytes);
    self.left_ = self.left_.subspan(bytes);
  }

  std::span<const uint8_t> left_;
  Handle handle_;
  png_structp& png_ = handle_.png;
  png_infop& info_ = handle_.info;
  char message_[128] = "";
};

}  // namespace

ImageSize read_png_size(std::span<const uint8_t> bytes) {
  return PngReader(bytes).size();
}

void decode_png(std::span<const uint8_t> bytes, Image& out) {
  PngReader png(bytes);
  const ImageSize size = png.size();
  png.ask_for_rgb();
  out.resize(size.height, size.width);
  std::vector<png_bytep> rows(static_cast<size_t>(size.height));
  for (int64_t y = 0; y < size.height; ++y) rows[static_cast<size_t>(y)] = out.row(y);
  png.read(rows.data());
}

}  // namespace resnext
