// Huffman codes decoded by us and by libjpeg: the same pixels, whatever the markers, and damage.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/huffman_decoder.h"

#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <algorithm>
#include <optional>

#include "data/image/croppable_jpeg.h"
#include "data/image/image_decoder.h"
#include "data/keyed_random.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::golden_path;
using testing::make_image;
using testing::read_bytes;

struct Form {
  int sampling = TJSAMP_420;
  int quality = 85;
  unsigned interval = 0;
  int scans = 1;  // 3: one for each colour
  bool optimised = false;
};

void write(const Image& image, const Form& form, Compressor& to) {
  jpeg_compress_struct& info = to.info();
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  if (form.sampling == TJSAMP_GRAY) jpeg_set_colorspace(&info, JCS_GRAYSCALE);
  jpeg_set_quality(&info, form.quality, TRUE);
  info.comp_info[0].h_samp_factor = tjMCUWidth[form.sampling] / 8;
  info.comp_info[0].v_samp_factor = tjMCUHeight[form.sampling] / 8;
  info.restart_interval = form.interval;
  info.optimize_coding = form.optimised ? TRUE : FALSE;
  static const jpeg_scan_info scans[3] = {
      {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
  if (form.scans == 3) info.scan_info = scans, info.num_scans = 3;
  jpeg_start_compress(&info, TRUE);
  for (int64_t y = 0; y < image.height; ++y) {
    auto* row = const_cast<uint8_t*>(image.view().row(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
}

Bytes encode(const Image& image, const Form& form) {
  Bytes bytes(1 << 20);
  JpegErrors errors;
  Compressor compressor(errors, bytes);
  errors.guarded([&] { write(image, form, compressor); });
  bytes.resize(compressor.size());
  return bytes;
}

// The whole, by libjpeg alone or with our codes. Nothing where it is damaged.
std::optional<Image> decode(const Bytes& bytes, bool ours, bool taken_over = true) try {
  HuffmanDecoder huffman(bytes.size());
  Decompressor jpeg(bytes);
  jpeg_decompress_struct& info = jpeg.info();
  info.out_color_space = JCS_RGB;
  jpeg.guarded([&] { jpeg_start_decompress(&info); });
  if (ours) {
    EXPECT_EQ(huffman.install(info), taken_over);
  }
  Image image;
  image.resize(info.output_height, info.output_width);
  jpeg.guarded([&] {
    for (int64_t y = 0; y < image.height; ++y) {
      uint8_t* row = image.row(y);
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
  });
  return image;
} catch (const DamagedImage&) {
  return std::nullopt;
}

void expect_same(const Bytes& bytes, bool taken_over = true) {
  const auto wanted = decode(bytes, false), got = decode(bytes, true, taken_over);
  ASSERT_TRUE(wanted);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->pixels, wanted->pixels);
}

TEST(HuffmanDecoder, EqualsLibjpeg) {
  for (const int sampling :
       {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY}) {
    for (const int quality : {1, 30, 85, 100}) {
      for (const unsigned interval : {0U, 1U, 3U, 8U, 100U}) {
        SCOPED_TRACE(::testing::Message() << "sampling " << sampling << " quality " << quality
                                          << " interval " << interval);
        const Image image = make_image(75, 131, static_cast<uint64_t>(quality));
        expect_same(encode(image, {sampling, quality, interval, 1, interval == 3}));
      }
    }
  }
}

Image noise(int64_t height, int64_t width, KeyedRandom& random) {
  Image image;
  image.resize(height, width);
  for (uint8_t& value : image.pixels) value = random.chance(0.5) ? 255 : 0;
  return image;
}

// Codes of more bits than are looked up, and values of up to 11 bits.
TEST(HuffmanDecoder, EqualsLibjpegOnNoise) {
  KeyedRandom random(RandomUse::kAugment, 3, 0, 0);
  const Image image = noise(200, 300, random);
  for (const bool optimised : {false, true}) {
    expect_same(encode(image, {TJSAMP_444, 100, 0, 1, optimised}));
    expect_same(encode(image, {TJSAMP_420, 97, 5, 1, optimised}));
  }
}

TEST(HuffmanDecoder, EqualsLibjpegOnFiles) {
  for (const char* name : {"420.jpg", "444.jpg", "grey.jpg"})
    expect_same(read_bytes(golden_path(name)));
}

TEST(HuffmanDecoder, LeavesOtherKindsToLibjpeg) {
  expect_same(read_bytes(golden_path("progressive.jpg")), false);
  expect_same(encode(make_image(64, 128, 3), {TJSAMP_444, 85, 4, 3}), false);
}

// T.81, B.1.1.2: any marker may have ones before it.
TEST(HuffmanDecoder, TakesFillBytes) {
  const Bytes bytes = encode(make_image(40, 64, 5), {TJSAMP_420, 85, 2});
  Bytes filled;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == 0xff && i + 1 < bytes.size() && bytes[i + 1] >= 0xd0 && bytes[i + 1] <= 0xd9) {
      filled.insert(filled.end(), i > 0 ? 3 : 0, 0xff);
    }
    filled.push_back(bytes[i]);
  }
  ASSERT_GT(filled.size(), bytes.size());
  EXPECT_EQ(decode(filled, true)->pixels, decode(bytes, false)->pixels);
}

// libjpeg-turbo's faster function takes a code that is none for the end of a block.
TEST(HuffmanDecoder, ChecksTheCodes) {
  const Bytes good = encode(make_image(256, 256, 5), {});
  EXPECT_NO_THROW(check_huffman_codes(good));
  Bytes bytes = good;
  const auto middle = bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 3);
  std::fill_n(middle, 4, uint8_t{0xfe});  // bits of which 16 ones are no code
  bytes.insert(middle + 1, {0xff, 0, 0xff, 0});
  EXPECT_TRUE(decode(bytes, false)) << "this test needs a file that libjpeg takes";
  EXPECT_THROW(check_huffman_codes(bytes), DamagedImage);
  EXPECT_THROW(make_croppable(bytes), DamagedImage);
  EXPECT_FALSE(decode(bytes, true));
}

TEST(HuffmanDecoder, NoticesWhatIsMissing) {
  const Bytes bytes = encode(make_image(80, 64, 5), {TJSAMP_420, 85, 2});
  for (size_t left = bytes.size() - 1; left > bytes.size() / 2; left -= 7) {
    EXPECT_FALSE(
        decode(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(left)), true))
        << left;
  }
}

// The last value of the last block needs no code behind it: only the count of bits tells.
TEST(HuffmanDecoder, NoticesAMissingLastByte) {
  KeyedRandom random(RandomUse::kAugment, 4, 0, 0);
  for (int i = 0; i < 200; ++i) {
    Bytes bytes = encode(noise(8, 8, random), {TJSAMP_GRAY, 100});
    bytes.erase(bytes.end() - 3);
    EXPECT_FALSE(decode(bytes, false)) << i;
    EXPECT_FALSE(decode(bytes, true)) << i;
  }
}

// What we decode without complaint libjpeg does too, to the same pixels.
TEST(HuffmanDecoder, SpoiledCodesAreNoticedAsByLibjpeg) {
  KeyedRandom random(RandomUse::kAugment, 11, 0, 0);
  int same = 0, refused = 0, stricter = 0;
  for (const unsigned interval : {0U, 2U}) {
    const Bytes good = encode(make_image(72, 96, 6), {TJSAMP_420, 75, interval});
    const Bytes scan = {0xff, 0xda};
    const auto codes = static_cast<size_t>(
        std::search(good.begin(), good.end(), scan.begin(), scan.end()) - good.begin() + 14);
    for (int i = 0; i < 3000; ++i) {
      Bytes bytes = good;
      const auto at = static_cast<std::ptrdiff_t>(codes + random.below(bytes.size() - codes));
      switch (random.below(3)) {
        case 0:
          bytes[static_cast<size_t>(at)] ^= static_cast<uint8_t>(1 << random.below(8));
          break;
        case 1:
          bytes.erase(bytes.begin() + at);
          break;
        default:
          bytes.insert(bytes.begin() + at, static_cast<uint8_t>(random.next()));
      }
      const auto wanted = decode(bytes, false), got = decode(bytes, true);
      if (got) {
        ASSERT_TRUE(wanted) << i;
        ASSERT_EQ(got->pixels, wanted->pixels) << i;
        EXPECT_NO_THROW(check_huffman_codes(bytes)) << i;
        ++same;
      } else {
        ++(wanted ? stricter : refused);
      }
    }
  }
  EXPECT_GT(same, 100);
  EXPECT_GT(refused, 200);
  EXPECT_LT(stricter, 20) << "what is no code, in the middle of an image";
}

// Only what lies in other intervals may be anything.
TEST(HuffmanDecoder, PassesOverIntervalsWithoutTheRegion) {
  const Bytes good = make_croppable(encode(make_image(256, 512, 1), {}));
  const Region region{96, 200, 40, 50, 0, 0};
  Image wanted, got;
  decode_region(good, region, wanted);
  int spoiled = 0, marker = 0, harmless = 0;
  for (size_t i = 0; i + 1 < good.size(); ++i) {
    if (good[i] != 0xff || good[i + 1] < 0xd0 || good[i + 1] > 0xd7) continue;
    Bytes bytes = good;  // ones are no code; the marker that follows is left
    for (size_t k = i + 2; k < i + 12 && good[k] != 0xff; ++k) bytes[k] = 0xfe;
    const int interval = ++marker, row = interval / 16, column = interval % 16;
    try {
      decode_region(bytes, region, got);
      ASSERT_EQ(got.pixels, wanted.pixels) << "row " << row << ", column " << column;
      ++harmless;
    } catch (const DamagedImage&) {
      EXPECT_GE(row, 5) << column;
      EXPECT_LE(row, 8) << column;
      EXPECT_GE(column, 6) << row;
      EXPECT_LE(column, 7) << row;
      ++spoiled;
    }
  }
  EXPECT_EQ(marker, 255);
  EXPECT_GT(spoiled, 2);
}

}  // namespace
}  // namespace resnext
