// Huffman tables: libjpeg's own, and the standard's rules where counts are odd.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/huffman_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "tests/data/jpeg_writer.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::encode_sampled;
using testing::rewrite_jpeg;

void expect_tables_of_libjpeg(const Bytes& jpeg, unsigned interval, const std::string& what) {
  const auto with = [&](bool ours) {
    return rewrite_jpeg(jpeg, [&](auto&, auto*, jpeg_compress_struct& out) {
      out.restart_interval = interval;
      out.optimize_coding = ours ? FALSE : TRUE;
      if (!ours) return;
      Decompressor again(jpeg);
      EXPECT_TRUE(set_optimal_tables(JpegCoefficients(again), out));
    });
  };
  EXPECT_EQ(with(true), with(false)) << what << ", " << interval;
}

TEST(HuffmanTables, AreThoseOfLibjpeg) {
  for (const int sampling :
       {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY}) {
    for (const auto& [height, width] : {std::pair{61, 83}, {64, 64}, {7, 5}, {33, 16}}) {
      for (const int quality : {5, 85, 100}) {
        const Bytes jpeg = encode_sampled(testing::make_image(height, width, 3), sampling, quality);
        const std::string what = std::to_string(sampling) + ", " + std::to_string(height) + "x" +
                                 std::to_string(width) + ", " + std::to_string(quality);
        for (const unsigned interval : {1U, 3U, 1000U}) {
          expect_tables_of_libjpeg(jpeg, interval, what);
        }
      }
    }
  }
}

// 15 zeros have no symbol of their own, 16 have.
TEST(HuffmanTables, RunsOfZeros) {
  const Bytes jpeg = encode_sampled(testing::make_image(32, 32, 1), TJSAMP_GRAY, 85);
  for (const int place : {12, 19, 6, 20, 54, 63}) {  // behind 15, 16, 26, 31, 47 and 62 zeros
    const Bytes sparse = rewrite_jpeg(jpeg, [&](auto& in, jvirt_barray_ptr* blocks, auto&) {
      for (JDIMENSION y = 0; y < 4; ++y) {
        for (JDIMENSION x = 0; x < 4; ++x) {
          JBLOCK& block = testing::block_of(in, blocks, 0, y, x);
          std::fill(std::begin(block), std::end(block), JCOEF{0});
          block[place] = 3;
        }
      }
    });
    expect_tables_of_libjpeg(sparse, 2, std::to_string(place));
  }
}

// Codes of 11 bits of difference, of 10 bits of other coefficients; a long run of zeros.
TEST(HuffmanTables, RefuseWhatBaselineCannotSay) {
  const Bytes jpeg = encode_sampled(testing::make_image(16, 16, 1), TJSAMP_444, 20);
  const auto fits = [&](int place, int value) {
    Decompressor image(jpeg);
    const JpegCoefficients coefficients(image);
    auto& block = const_cast<JBLOCK&>(coefficients.row(1, 1)[1]);
    std::fill(std::begin(block), std::end(block), JCOEF{0});
    block[place] = static_cast<JCOEF>(value);
    Bytes bytes(10000);
    Compressor destination(image.errors(), bytes);
    jpeg_compress_struct& out = destination.info();
    image.guarded([&] { jpeg_copy_critical_parameters(&image.info(), &out); });
    out.restart_interval = 1;
    return set_optimal_tables(coefficients, out);
  };
  for (const int sign : {1, -1}) {
    EXPECT_TRUE(fits(0, sign * 2047));
    EXPECT_FALSE(fits(0, sign * 2048));
    for (const int place : {1, 63}) {
      EXPECT_TRUE(fits(place, sign * 1023));
      EXPECT_FALSE(fits(place, sign * 1024));
      EXPECT_FALSE(fits(place, sign * 32767));
    }
  }
}

// Each symbol that occurs has a code, none is longer than 16 bits, and one code of that length, of
// ones only, is left over.
void expect_complete(const SymbolCounts& counts) {
  const JHUFF_TBL table = optimal_table(counts);
  int64_t codes = 0, used = 0;
  for (int length = 1; length <= 16; ++length) {
    codes += table.bits[length];
    used += int64_t{table.bits[length]} << (16 - length);
  }
  const auto occurring = std::count_if(counts.begin(), counts.end(), [](auto n) { return n > 0; });
  EXPECT_EQ(codes, occurring);
  EXPECT_LT(used, 1 << 16);
  std::vector<int> symbols(table.huffval, table.huffval + codes);
  for (const int symbol : symbols) EXPECT_GT(counts[static_cast<size_t>(symbol)], 0);
  std::ranges::sort(symbols);
  EXPECT_EQ(std::ranges::adjacent_find(symbols), symbols.end());
}

TEST(HuffmanTables, ArePrefixCodesOfAtMost16Bits) {
  SymbolCounts one{}, deep{}, even{};
  one[7] = 5;
  int64_t count = 1;
  for (size_t i = 0; i < 39; ++i, count *= 3) deep[3 * i] = count;  // Huffman's own: 1 to 39 bits
  even.fill(9);
  for (const SymbolCounts& counts : {one, deep, even}) expect_complete(counts);
  EXPECT_EQ(optimal_table(one).bits[1], 1);
  EXPECT_EQ(optimal_table(deep).huffval[0], 3 * 38) << "the most frequent one is shortest";
}

}  // namespace
}  // namespace resnext
