// JPEG with restart markers: the same pixels whole and in parts, whatever the sampling; damage.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/croppable_jpeg.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/image/image_decoder.h"
#include "data/keyed_random.h"
#include "tests/data/jpeg_writer.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::difference;
using testing::encode_sampled;
using testing::golden_path;
using testing::read_bytes;

Image decode(const Bytes& bytes) {
  Image image;
  decode_image(bytes, image);
  return image;
}

Region random_region(const ImageSize& size, KeyedRandom& random) {
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(n)));
  };
  const int64_t height = 1 + below(size.height), width = 1 + below(size.width);
  return {below(size.height - height + 1), below(size.width - width + 1), height, width, 0, 0};
}

// The region's pixels, as whole ones of the size at which it was decoded.
Image decode_part(const Bytes& bytes, const Region& region) {
  Image image, part;
  const Box box = decode_region(bytes, region, image);
  const auto pixels = [](double length) { return static_cast<int64_t>(length); };
  part.resize(std::max<int64_t>(1, pixels(box.height)), std::max<int64_t>(1, pixels(box.width)));
  for (int64_t y = 0; y < part.height; ++y) {
    std::copy_n(image.row(pixels(box.top) + y) + pixels(box.left) * 3, part.width * 3, part.row(y));
  }
  return part;
}

struct Kind {
  const char* name;
  int sampling;
  int flags;
};

class CroppableJpeg : public ::testing::TestWithParam<Kind> {};

TEST_P(CroppableJpeg, HasTheSamePixelsWholeAndInParts) {
  KeyedRandom random(RandomUse::kAugment, 9, 0, 0);
  for (const auto& [height, width] :
       {std::pair{241, 333}, {97, 512}, {300, 31}, {64, 64}, {7, 5}, {128, 496}}) {
    const Image source = testing::make_image(height, width, 7);
    const Bytes before = encode_sampled(source, GetParam().sampling, 85, GetParam().flags);
    const Bytes after = make_croppable(before);
    ASSERT_FALSE(after.empty());
    const Image whole = decode(before);
    ASSERT_EQ(decode(after).pixels, whole.pixels) << height << "x" << width;
    for (int i = 0; i < 25; ++i) {
      Region region = random_region({height, width}, random);
      if (i % 5 == 0) region.top = height - region.height;  // edges are what can go wrong
      if (i % 3 == 0) region.left = width - region.width;
      ASSERT_EQ(decode_part(after, region).pixels, decode_part(before, region).pixels)
          << region.top << "," << region.left << " " << region.height << "x" << region.width;
      region.wanted_height = 1 + region.height / 10;
      region.wanted_width = 1 + region.width / 10;
      ASSERT_EQ(decode_part(after, region).pixels, decode_part(before, region).pixels)
          << "reduced " << region.top << "," << region.left << " " << region.height << "x"
          << region.width;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Samplings, CroppableJpeg,
                         ::testing::Values(Kind{"s444", TJSAMP_444, 0}, Kind{"s422", TJSAMP_422, 0},
                                           Kind{"s420", TJSAMP_420, 0}, Kind{"s440", TJSAMP_440, 0},
                                           Kind{"s411", TJSAMP_411, 0},
                                           Kind{"grey", TJSAMP_GRAY, 0},
                                           Kind{"progressive", TJSAMP_420, TJFLAG_PROGRESSIVE}),
                         [](const auto& kind) { return kind.param.name; });

TEST(CroppableJpegForms, LeaveAloneWhatTheyCannotHold) {
  EXPECT_TRUE(make_croppable(read_bytes(golden_path("cmyk.jpg"))).empty());
  EXPECT_TRUE(make_croppable(read_bytes(golden_path("rgb.png"))).empty());
  EXPECT_TRUE(make_croppable({}).empty());
  Bytes other = read_bytes(golden_path("420.jpg"));
  other[2] = 0;
  EXPECT_TRUE(make_croppable(other).empty()) << "libjpeg would look for the next marker";
  Bytes cut = read_bytes(golden_path("420.jpg"));
  cut.resize(cut.size() / 2);
  EXPECT_THROW(make_croppable(cut), DamagedImage);
}

// T.81, A.2.2: with one colour a unit is one block, whatever its sampling.
TEST(CroppableJpegForms, GreySamplingHasNoMeaning) {
  Bytes bytes = make_croppable(encode_sampled(testing::make_image(90, 200, 4), TJSAMP_GRAY));
  const Image whole = decode(bytes);
  const Bytes frame = {0xff, 0xc0};
  const auto found = std::search(bytes.begin(), bytes.end(), frame.begin(), frame.end());
  ASSERT_EQ(found[11], 0x11);
  found[11] = 0x22;
  EXPECT_EQ(difference(decode_part(bytes, {40, 70, 20, 50, 0, 0}).view(),
                       whole.view().crop(40, 70, 20, 50))
                .largest,
            0);
}

// Where a spoiled file still decodes, its parts are those of the whole; else it is refused, or the
// spoiled place was not needed. Nothing crashes.
TEST(CroppableJpegForms, SpoiledMarkersAreNoticedOrHarmless) {
  KeyedRandom random(RandomUse::kAugment, 10, 0, 0);
  const Bytes good = make_croppable(encode_sampled(testing::make_image(160, 256, 2), TJSAMP_420));
  std::vector<size_t> markers;
  for (size_t i = 2; i + 1 < good.size(); ++i) {
    if (good[i] == 0xff && good[i + 1] >= 0xd0 && good[i + 1] <= 0xd9) markers.push_back(i);
  }
  ASSERT_EQ(markers.size(), 80U);  // 10 rows of eight intervals
  Bytes renumbered = good;
  renumbered[markers[0] + 1] = 0xd3;
  EXPECT_THROW(decode_part(renumbered, {70, 70, 20, 50, 0, 0}), DamagedImage)
      << "0, 1, 2 must follow each other";
  const auto spoil = [&](Bytes& bytes) {
    const auto at = static_cast<std::ptrdiff_t>(markers[random.below(markers.size())]);
    switch (random.below(6)) {
      case 0:
        bytes[static_cast<size_t>(at) + 1] = static_cast<uint8_t>(0xc0 + random.below(64));
        break;
      case 1:
        bytes.erase(bytes.begin() + at, bytes.begin() + at + 2);
        break;
      case 2:
        bytes.insert(bytes.begin() + at, bytes.begin() + at, bytes.begin() + at + 2);
        break;
      case 3:
        bytes.resize(static_cast<size_t>(at) + random.below(3));
        break;
      case 4:
        bytes[random.below(bytes.size())] = static_cast<uint8_t>(random.next());
        break;
      default:
        bytes[random.below(700)] ^= static_cast<uint8_t>(1 << random.below(8));  // the header
    }
  };
  int parts = 0, refused = 0;
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes = good;
    spoil(bytes);
    Region region;
    try {
      region = random_region(read_image_size(bytes), random);
      const Image part = decode_part(bytes, region);
      const Image whole = decode(bytes);
      ASSERT_EQ(difference(part.view(),
                           whole.view().crop(region.top, region.left, region.height, region.width))
                    .largest,
                0)
          << i;
      ++parts;
    } catch (const DamagedImage&) {
      ++refused;
    }
  }
  EXPECT_GT(parts, 100);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace resnext
