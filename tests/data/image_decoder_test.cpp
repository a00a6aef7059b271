// Decoding against Pillow's pixels; partial decoding; damage and hostile headers.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/image_decoder.h"

#include <gtest/gtest.h>

#include "data/augment/resample.h"
#include "data/image/jpeg_encoder.h"
#include "data/keyed_random.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::difference;
using testing::golden_image;
using testing::golden_path;
using testing::read_bytes;

const char* const kJpegs[] = {"444.jpg",     "422.jpg",  "420.jpg", "progressive.jpg",
                              "restart.jpg", "grey.jpg", "cmyk.jpg"};
const char* const kPngs[] = {"rgb.png",     "rgba.png",    "grey.png",
                             "bilevel.png", "palette.png", "grey16.png"};

Image decode(const Bytes& bytes) {
  Image image;
  decode_image(bytes, image);
  return image;
}

const char* const kMore[] = {
    "rgb.webp",         "lossy.webp",       "rgb.bmp",          "palette.bmp",
    "grey.bmp",         "rgb.tif",          "lzw.tif",          "deflate.tif",
    "grey.tif",         "orientation2.tif", "orientation3.tif", "orientation4.tif",
    "orientation5.tif", "orientation6.tif", "orientation7.tif", "orientation8.tif"};

std::string golden_of(std::string name) {
  name[name.find('.')] = '_';
  return name;
}

TEST(ImageDecoder, EqualsPillow) {
  for (const char* name : kJpegs) {
    const Image image = decode(read_bytes(golden_path(name)));
    EXPECT_LE(difference(image.view(), golden_image(golden_of(name)).view()).largest, 1) << name;
  }
  for (const char* name : kPngs) {
    const Image image = decode(read_bytes(golden_path(name)));
    EXPECT_EQ(difference(image.view(), golden_image(golden_of(name)).view()).largest, 0) << name;
  }
}

TEST(ImageDecoder, EqualsPillowInMoreFormats) {
  for (const char* name : kMore) {
    const Bytes bytes = read_bytes(golden_path(name));
    try {
      const Image image = decode(bytes);
      EXPECT_EQ(difference(image.view(), golden_image(golden_of(name)).view()).largest, 0) << name;
    } catch (const DamagedImage& error) {
      EXPECT_NE(std::string(error.what()).find("built without"), std::string::npos)
          << name << ": " << error.what();
    }
  }
}

// Cut anywhere, or with one byte changed: an image or DamagedImage, nothing else.
TEST(ImageDecoder, DamageInMoreFormatsIsNoticedOrHarmless) {
  KeyedRandom random(RandomUse::kAugment, 8, 0, 0);
  const auto is_refused = [](const Bytes& bytes) {
    try {
      decode(bytes);
      return false;
    } catch (const DamagedImage&) {
      return true;
    }
  };
  for (const char* name : kMore) {
    const Bytes whole = read_bytes(golden_path(name));
    for (int i = 0; i < 60; ++i) {
      Bytes bytes = whole;
      bytes[random.below(std::min<size_t>(bytes.size(), 200))] =
          static_cast<uint8_t>(random.next());
      is_refused(bytes);
    }
    for (const size_t kept : {size_t{2}, size_t{13}, size_t{60}, whole.size() / 2}) {
      EXPECT_TRUE(is_refused({whole.begin(), whole.begin() + static_cast<int64_t>(kept)}))
          << name << " cut at " << kept;
    }
  }
}

TEST(ImageDecoder, ReadsTheSizeFromTheHeader) {
  for (const char* name : {"420.jpg", "progressive.jpg", "palette.png"}) {
    const ImageSize size = read_image_size(read_bytes(golden_path(name)));
    EXPECT_EQ(size.height, 59) << name;
    EXPECT_EQ(size.width, 83) << name;
  }
}

// The region of `image` that `box` names, which lies on whole pixels at full size.
ImageView region_of(const Image& image, const Box& box) {
  return image.view().crop(static_cast<int64_t>(box.top), static_cast<int64_t>(box.left),
                           static_cast<int64_t>(box.height), static_cast<int64_t>(box.width));
}

TEST(ImageDecoder, RegionsEqualTheWholeImage) {
  KeyedRandom random(RandomUse::kAugment, 5, 0, 0);
  const auto check = [&](const Bytes& bytes, const std::string& name, int regions) {
    const Image whole = decode(bytes);
    for (int i = 0; i < regions; ++i) {
      const auto height =
          1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.height)));
      const auto width = 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.width)));
      const auto top =
          static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.height - height + 1)));
      const auto left =
          static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.width - width + 1)));
      Image part;
      const Box box = decode_region(bytes, {top, left, height, width, 0, 0}, part);
      ASSERT_EQ(
          difference(region_of(part, box), whole.view().crop(top, left, height, width)).largest, 0)
          << name << " " << top << "," << left << " " << height << "x" << width;
    }
  };
  for (const char* name : kJpegs) check(read_bytes(golden_path(name)), name, 300);
  check(encode_jpeg(testing::make_image(301, 407, 3).view(), 90), "made", 200);
}

TEST(ImageDecoder, ReducedRegionsResizeToNearlyTheSame) {
  const Image source = testing::make_image(600, 800, 4);
  const Bytes bytes = encode_jpeg(source.view(), 95);
  const Image whole = decode(bytes);
  const Region region{101, 203, 400, 500, 64, 64};
  Image part;
  const Box box = decode_region(bytes, region, part);
  ASSERT_LT(part.height, 220) << "is decoded at half size or less";
  Image out, want;
  out.resize(64, 64);
  want.resize(64, 64);
  Resampler resampler;
  resampler.resize(part.view(), {box, 64, 64, 0, 0, Filter::kBilinear}, 64, 64, out.pixels.data());
  resampler.resize(whole.view().crop(101, 203, 400, 500),
                   {{0, 0, 400, 500}, 64, 64, 0, 0, Filter::kBilinear}, 64, 64, want.pixels.data());
  EXPECT_LT(difference(out.view(), want.view()).mean, 1.0);
  EXPECT_LE(difference(out.view(), want.view()).largest, 16);  // of noise, the worst case
}

TEST(ImageDecoder, NamesTruncationOfEveryLength) {
  for (const char* name : {"420.jpg", "progressive.jpg", "cmyk.jpg", "palette.png", "rgb.png"}) {
    const Bytes bytes = read_bytes(golden_path(name));
    for (size_t size = 0; size + 3 < bytes.size(); size += 1 + size / 20) {
      const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_THROW(decode(part), DamagedImage) << name << " cut to " << size;
    }
  }
}

TEST(ImageDecoder, SurvivesRandomDamage) {
  KeyedRandom random(RandomUse::kAugment, 6, 0, 0);
  int refused = 0;
  for (const char* name :
       {"420.jpg", "progressive.jpg", "restart.jpg", "cmyk.jpg", "palette.png", "rgb.png"}) {
    const Bytes good = read_bytes(golden_path(name));
    for (int i = 0; i < 300; ++i) {
      Bytes bytes = good;
      for (uint64_t n = 1 + random.below(4); n > 0; --n) {
        bytes[random.below(bytes.size())] = static_cast<uint8_t>(random.next());
      }
      try {
        decode(bytes);
      } catch (const DamagedImage&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 600);
}

TEST(ImageDecoder, RefusesHostileSizesBeforeAllocating) {
  Bytes jpeg = read_bytes(golden_path("420.jpg"));
  for (size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] != 0xff || jpeg[i + 1] != 0xc0) continue;
    std::fill_n(jpeg.begin() + static_cast<std::ptrdiff_t>(i + 5), 4,
                uint8_t{0xf0});  // 61680 x 61680
    break;
  }
  EXPECT_THROW(read_image_size(jpeg), DamagedImage);
  EXPECT_THROW(decode(jpeg), DamagedImage);
}

TEST(ImageDecoder, RefusesOtherFormats) {
  EXPECT_THROW(decode({}), DamagedImage);
  EXPECT_THROW(decode({'G', 'I', 'F', '8', '9', 'a'}), DamagedImage);
  EXPECT_THROW(decode(Bytes(1000, 0)), DamagedImage);
}

}  // namespace
}  // namespace resnext
