// Coefficients of JPEG: the same in whatever form they are written; one that differs is noticed.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/jpeg_coefficients.h"

#include <gtest/gtest.h>

#include "data/image/croppable_jpeg.h"
#include "data/image/image_decoder.h"
#include "data/image/stored_image.h"
#include "data/keyed_random.h"
#include "tests/data/jpeg_writer.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::golden_path;
using testing::read_bytes;
using testing::rewrite_jpeg;

bool are_equal(const Bytes& a, const Bytes& b) {
  Decompressor one(a), other(b);
  return JpegCoefficients(one) == JpegCoefficients(other);
}

TEST(JpegCoefficients, AreEqualInWhateverFormTheyAreWritten) {
  for (const char* name : {"444.jpg", "422.jpg", "420.jpg", "grey.jpg", "progressive.jpg"}) {
    const Bytes jpeg = read_bytes(golden_path(name));
    EXPECT_TRUE(are_equal(jpeg, jpeg)) << name;
    for (const auto& change : std::initializer_list<testing::Rewriting>{
             [](auto&, auto*, auto& out) { out.restart_interval = 3; },
             [](auto&, auto*, auto& out) { out.optimize_coding = TRUE; },
             [](auto&, auto*, auto& out) { jpeg_simple_progression(&out); }}) {
      EXPECT_TRUE(are_equal(jpeg, rewrite_jpeg(jpeg, change))) << name;
    }
  }
  EXPECT_FALSE(are_equal(read_bytes(golden_path("444.jpg")), read_bytes(golden_path("422.jpg"))));
}

TEST(JpegCoefficients, ADifferenceAnywhereIsNoticed) {
  const Bytes jpeg = read_bytes(golden_path("420.jpg"));
  const auto differs = [&](const testing::Rewriting& change) {
    return !are_equal(jpeg, rewrite_jpeg(jpeg, change));
  };
  Decompressor image(jpeg);
  const JpegCoefficients blocks(image);
  for (int c = 0; c < 3; ++c) {
    const jpeg_component_info& component = image.info().comp_info[c];
    for (const JDIMENSION row : {JDIMENSION{0}, component.height_in_blocks - 1}) {
      for (const JDIMENSION column : {JDIMENSION{0}, component.width_in_blocks - 1}) {
        for (const int place : {0, 1, 63}) {
          EXPECT_TRUE(differs([&](auto& in, auto* coefficients, auto&) {
            ++testing::block_of(in, coefficients, c, row, column)[place];
          })) << c
              << " " << row << " " << column << " " << place;
        }
      }
    }
  }
  EXPECT_TRUE(differs([](auto&, auto*, auto& out) { ++out.quant_tbl_ptrs[1]->quantval[63]; }));
  EXPECT_TRUE(differs([](auto&, auto*, auto& out) { out.image_width -= 1; }));
  EXPECT_TRUE(differs([](auto&, auto*, auto& out) { out.image_height -= 1; }));
  EXPECT_TRUE(differs([](auto&, auto*, auto& out) {
    out.write_JFIF_header = FALSE;
    out.write_Adobe_marker = TRUE;
    out.jpeg_color_space = JCS_RGB;
  }));
}

// What libjpeg smooths would not be smoothed as a baseline image.
TEST(JpegCoefficients, AProgressiveImageThatEndsEarlyStaysAsItIs) {
  const Bytes whole = read_bytes(golden_path("progressive.jpg"));
  size_t second_scan = 0;
  for (size_t i = 0, scans = 0; i + 1 < whole.size() && second_scan == 0; ++i) {
    if (whole[i] != 0xff || whole[i + 1] != 0xda) continue;
    if (++scans == 3) second_scan = i;
  }
  ASSERT_GT(second_scan, 0U);
  Bytes early(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(second_scan));
  early.insert(early.end(), {0xff, 0xd9});
  for (const auto& [bytes, complete] : {std::pair{&whole, true}, {&early, false}}) {
    Decompressor image(*bytes);
    EXPECT_EQ(JpegCoefficients(image).complete(), complete);
    EXPECT_EQ(make_croppable(*bytes).empty(), !complete);
    EXPECT_EQ(stored_image(*bytes, true) == *bytes, !complete);
  }
  Image smoothed, written;
  decode_image(early, smoothed);
  decode_image(rewrite_jpeg(early, [](auto&, auto*, auto&) {}), written);
  EXPECT_NE(smoothed.pixels, written.pixels) << "this test needs an image that is smoothed";
}

// Whatever is wrong with a file: it is damage, or left as it is, or has the same pixels afterwards.
TEST(JpegCoefficients, SpoiledFilesAreRefusedOrKeepTheirPixels) {
  KeyedRandom random(RandomUse::kAugment, 11, 0, 0);
  int written = 0, refused = 0;
  for (const char* name : {"444.jpg", "420.jpg", "grey.jpg", "progressive.jpg", "restart.jpg"}) {
    const Bytes good = read_bytes(golden_path(name));
    for (int i = 0; i < 300; ++i) {
      Bytes bytes = good;
      // Half of them in the header, which is in front of the codes.
      const size_t at = random.below(i % 2 == 0 ? bytes.size() : 620);
      bytes[at] = static_cast<uint8_t>(random.next());
      Bytes croppable;
      try {
        croppable = make_croppable(bytes);
      } catch (const DamagedImage&) {
        ++refused;
      }
      if (croppable.empty()) continue;
      Image want, got;
      decode_image(bytes, want);
      decode_image(croppable, got);
      ASSERT_EQ(got.pixels, want.pixels) << name << ": byte " << at;
      ++written;
    }
  }
  EXPECT_GT(written, 200);
  EXPECT_GT(refused, 200);
}

TEST(JpegCoefficients, WhatCannotBeDecodedIsNoImage) {
  const Bytes odd = testing::jpeg_of_sampling(16, 48, {3, 2, 1});
  EXPECT_TRUE(make_croppable(odd).empty());
  EXPECT_THROW(stored_image(odd, true), DamagedImage);
  EXPECT_FALSE(make_croppable(testing::jpeg_of_sampling(16, 48, {2, 1, 1})).empty());
}

}  // namespace
}  // namespace resnext
