// The vector loops. This file is compiled once for each instruction set (foreach_target.h), and
// multiply and add are not fused in it.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/augment_kernels.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/augment/augment_kernels.cpp"
#define HWY_WANT_AVX3_DL  // table look-up of bytes
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace resnext {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Bytes = hn::ScalableTag<uint8_t>;
using Vector = hn::Vec<Bytes>;

constexpr size_t kBytesAtOnce = hn::MaxLanes(Bytes());

// Calls work(in, out) for each `block` bytes, of which it may read `reach`; the rest is worked on
// in a place of its own, where the other bytes are 0.
template <size_t kMost, typename Work>
void ForBlocks(const uint8_t* in, size_t bytes, uint8_t* out, size_t block, size_t reach,
               const Work& work) {
  size_t i = 0;
  for (; i + reach <= bytes; i += block) work(in + i, out + i);
  for (; i < bytes; i += block) {
    HWY_ALIGN uint8_t rest[kMost] = {};
    const size_t count = std::min(block, bytes - i);
    std::memcpy(rest, in + i, count);
    work(rest, rest);
    std::memcpy(out + i, rest, count);
  }
}

// A table in vector registers.
class Table {
 public:
#if HWY_TARGET <= HWY_AVX3_DL
  // Instructions that look up in 128 bytes.
  explicit Table(const ByteTable& table) {
    for (size_t i = 0; i < 4; ++i) parts_[i] = hn::LoadU(Bytes(), table.data() + i * 64);
  }
  Vector operator()(Vector v) const {
    const Vector low{_mm512_permutex2var_epi8(parts_[0].raw, v.raw, parts_[1].raw)};
    const Vector high{_mm512_permutex2var_epi8(parts_[2].raw, v.raw, parts_[3].raw)};
    return hn::IfThenElse(hn::Lt(v, hn::Set(Bytes(), 128)), low, high);
  }

 private:
  Vector parts_[4];
#else
  // Instructions that look up in 16 bytes and give 0 where the index has its highest bit.
  explicit Table(const ByteTable& table) : table_(table.data()) {}
  Vector operator()(Vector v) const {
    const Bytes d;
#if HWY_TARGET == HWY_SCALAR
    return hn::Set(d, table_[hn::GetLane(v)]);
#else
    Vector found = hn::Zero(d);
    for (size_t i = 0; i < 256; i += 16, v = hn::Sub(v, hn::Set(d, 16))) {
      const Vector index = hn::SaturatedAdd(v, hn::Set(d, 0x70));
      const Vector part = hn::LoadDup128(d, table_ + i);
      found = hn::Or(found, hn::TableLookupBytesOr0(part, index));
    }
    return found;
#endif
  }

 private:
  const uint8_t* table_;
#endif
};

void LookUp(const ByteTable& table, const uint8_t* in, size_t bytes, uint8_t* out) {
  const Bytes d;
  const Table found(table);
  const size_t block = hn::Lanes(d);
  ForBlocks<kBytesAtOnce>(in, bytes, out, block, block, [&](const uint8_t* from, uint8_t* to) {
    hn::StoreU(found(hn::LoadU(d, from)), d, to);
  });
}

void LookUpColours(const std::array<ByteTable, 3>& tables, const uint8_t* in, size_t count,
                   uint8_t* out) {
  const Bytes d;
  const Table red(tables[0]), green(tables[1]), blue(tables[2]);
  const size_t block = 3 * hn::Lanes(d);
  ForBlocks<3 * kBytesAtOnce>(in, 3 * count, out, block, block,
                              [&](const uint8_t* from, uint8_t* to) {
                                Vector r, g, b;
                                hn::LoadInterleaved3(d, from, r, g, b);
                                hn::StoreInterleaved3(red(r), green(g), blue(b), d, to);
                              });
}

void FindColourRange(const uint8_t* in, size_t count, ColourRange& range) {
  const Bytes d;
  const size_t lanes = hn::Lanes(d), block = 3 * lanes, blocks = count / lanes;
  const auto widen = [&range](size_t c, uint8_t low, uint8_t high) {
    range.low[c] = std::min(range.low[c], low);
    range.high[c] = std::max(range.high[c], high);
  };
  // Each third vector has a channel at the same lanes.
  for (size_t k = 0; k < block; k += lanes) {
    Vector low = hn::Set(d, 255), high = hn::Zero(d);
    for (size_t i = 0; i < blocks; ++i) {
      const Vector v = hn::LoadU(d, in + i * block + k);
      low = hn::Min(low, v);
      high = hn::Max(high, v);
    }
    HWY_ALIGN uint8_t lows[kBytesAtOnce], highs[kBytesAtOnce];
    hn::Store(low, d, lows);
    hn::Store(high, d, highs);
    for (size_t i = 0; i < lanes; ++i) widen((k + i) % 3, lows[i], highs[i]);
  }
  for (size_t i = blocks * block; i < 3 * count; ++i) widen(i % 3, in[i], in[i]);
}

// ---- pixels in int32 lanes ----------------------------------------------------------------------

using Pixels = hn::ScalableTag<int32_t>;
using PixelVector = hn::Vec<Pixels>;

// Bytes that LoadPixels() reads, of which it uses three quarters.
constexpr size_t kPixelReach = 4 * hn::MaxLanes(Pixels());

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE PixelVector LoadPixels(const uint8_t* in) {
  return hn::Set(Pixels(), in[0] | in[1] << 8 | in[2] << 16);
}

HWY_INLINE void StorePixels(PixelVector v, uint8_t* out) {
  const int32_t pixel = hn::GetLane(v);
  std::memcpy(out, &pixel, 3);
}
#else
// Lanes of a block of four pixels, whose 12 bytes are the block's first.
HWY_INLINE hn::Vec<hn::Repartition<uint8_t, Pixels>> InBlocks(PixelVector v,
                                                              const uint8_t (&bytes)[16]) {
  const hn::Repartition<uint8_t, Pixels> d;
  return hn::TableLookupBytesOr0(hn::BitCast(d, v), hn::LoadDup128(d, bytes));
}

HWY_INLINE PixelVector LanesAt(PixelVector v, const int32_t (&from)[16]) {
  const Pixels d;
  static_assert(hn::MaxLanes(d) <= 16);
  const auto all = hn::Set(d, static_cast<int32_t>(hn::Lanes(d)) - 1);
  return hn::TableLookupLanes(v, hn::IndicesFromVec(d, hn::And(hn::LoadU(d, from), all)));
}

// The lanes hold red, green, blue and 0, from the lowest byte.
HWY_INLINE PixelVector LoadPixels(const uint8_t* in) {
  const Pixels d;
  static constexpr int32_t kLanes[16] = {0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12};
  alignas(16) static constexpr uint8_t kBytes[16] = {0, 1, 2, 128, 3, 4,  5,  128,
                                                     6, 7, 8, 128, 9, 10, 11, 128};
  const auto v = hn::BitCast(d, hn::LoadU(hn::Repartition<uint8_t, Pixels>(), in));
  return hn::BitCast(d, InBlocks(LanesAt(v, kLanes), kBytes));
}

HWY_INLINE void StorePixels(PixelVector v, uint8_t* out) {
  const Pixels d;
  static constexpr int32_t kLanes[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0};
  alignas(16) static constexpr uint8_t kBytes[16] = {0,  1,  2,  4,  5,   6,   8,   9,
                                                     10, 12, 13, 14, 128, 128, 128, 128};
  const auto packed = LanesAt(hn::BitCast(d, InBlocks(v, kBytes)), kLanes);
  // Not with a mask: in one place the next load would wait for such a store.
  HWY_ALIGN int32_t pixels[hn::MaxLanes(d)];
  hn::Store(packed, d, pixels);
  std::memcpy(out, pixels, 3 * hn::Lanes(d));
}
#endif

HWY_INLINE PixelVector Red(PixelVector v) {
  return hn::And(v, hn::Set(Pixels(), 0xff));
}
HWY_INLINE PixelVector Green(PixelVector v) {
  return Red(hn::ShiftRight<8>(v));
}
HWY_INLINE PixelVector Blue(PixelVector v) {
  return hn::ShiftRight<16>(v);
}

HWY_INLINE PixelVector Grey(PixelVector v) {
  const auto part = [](PixelVector channel, int32_t weight) {
    return hn::Mul(channel, hn::Set(Pixels(), weight));
  };
  const auto sum =
      hn::Add(hn::Add(part(Red(v), 19595), part(Green(v), 38470)), part(Blue(v), 7471));
  return hn::ShiftRight<16>(hn::Add(sum, hn::Set(Pixels(), 0x8000)));
}

int64_t SumOfGreys(const uint8_t* in, size_t count) {
  const Pixels d;
  constexpr size_t kPixels = size_t{1} << 16;  // whose sum fits
  const size_t block = 3 * hn::Lanes(d);
  int64_t total = 0;
  for (size_t begin = 0; begin < count; begin += kPixels) {
    const uint8_t* from = in + 3 * begin;
    const size_t end = 3 * std::min(kPixels, count - begin);
    auto sum = hn::Zero(d);
    size_t i = 0;
    for (; i + kPixelReach <= end; i += block) sum = hn::Add(sum, Grey(LoadPixels(from + i)));
    for (; i < end; i += block) {
      HWY_ALIGN uint8_t rest[kPixelReach] = {};  // black adds nothing
      std::memcpy(rest, from + i, std::min(block, end - i));
      sum = hn::Add(sum, Grey(LoadPixels(rest)));
    }
    total += hn::GetLane(hn::SumOfLanes(d, sum));
  }
  return total;
}

// Limited to 0..255.
template <typename D32>
hn::Vec<D32> Blend(D32 ints, hn::Vec<D32> from, hn::Vec<D32> to, float factor) {
  const hn::Rebind<float, D32> floats;
  const auto step = hn::Mul(hn::Set(floats, factor), hn::ConvertTo(floats, hn::Sub(to, from)));
  const auto value = hn::ConvertTo(ints, hn::Add(hn::ConvertTo(floats, from), step));
  return hn::Max(hn::Min(value, hn::Set(ints, 255)), hn::Zero(ints));
}

void BlendFromGrey(float factor, const uint8_t* in, size_t count, uint8_t* out) {
  const Pixels d;
  ForBlocks<kPixelReach>(in, 3 * count, out, 3 * hn::Lanes(d), kPixelReach,
                         [&](const uint8_t* from, uint8_t* to) {
                           const PixelVector v = LoadPixels(from), grey = Grey(v);
                           const auto r = Blend(d, grey, Red(v), factor);
                           const auto g = Blend(d, grey, Green(v), factor);
                           const auto b = Blend(d, grey, Blue(v), factor);
                           const auto gb = hn::Or(hn::ShiftLeft<8>(g), hn::ShiftLeft<16>(b));
                           StorePixels(hn::Or(r, gb), to);
                         });
}

// ---- neighbours ---------------------------------------------------------------------------------

// Calls at(d, i) so that the lanes of all calls cover [begin, end), some of them twice.
template <typename D, typename At>
void ForLanes(D d, size_t begin, size_t end, const At& at) {
  const size_t lanes = hn::Lanes(d);
  if (end - begin < lanes) {
    for (; begin < end; ++begin) at(hn::CappedTag<hn::TFromD<D>, 1>(), begin);
    return;
  }
  for (; begin + lanes < end; begin += lanes) at(d, begin);
  at(d, end - lanes);
}

constexpr size_t kSmoothedAtOnce = 1024;

// Of `count` bytes of a row between two others, each between two pixels. `columns` is memory to
// work in, for sums of three bytes.
void SharpenPart(float factor, const uint8_t* in, size_t stride, size_t count,
                 uint16_t* HWY_RESTRICT columns, uint8_t* HWY_RESTRICT out) {
  ForLanes(hn::ScalableTag<uint16_t>(), 0, count + 6, [&](auto words, size_t i) {
    const auto row = [&](const uint8_t* from) {
      return hn::PromoteTo(words, hn::LoadU(hn::Rebind<uint8_t, decltype(words)>(), from));
    };
    const uint8_t* p = in - 3 + i;
    hn::StoreU(hn::Add(hn::Add(row(p - stride), row(p)), row(p + stride)), words, columns + i);
  });
  ForLanes(hn::ScalableTag<int32_t>(), 0, count, [&](auto ints, size_t i) {
    const hn::Rebind<uint16_t, decltype(ints)> words;
    const hn::Rebind<uint8_t, decltype(ints)> bytes;
    const auto column = [&](size_t k) { return hn::LoadU(words, columns + i + k); };
    const auto middle = hn::LoadU(bytes, in + i);
    auto sum = hn::Add(hn::Add(column(0), column(3)), column(6));
    sum = hn::Add(sum, hn::ShiftLeft<2>(hn::PromoteTo(words, middle)));
    // To the nearest of sum / 13: 5042 / 2^16 is near enough to 1 / 13 for sums up to 6,000.
    const auto smooth = hn::MulHigh(hn::Add(sum, hn::Set(words, 6)), hn::Set(words, 5042));
    const auto from =
        hn::PromoteTo(ints, hn::BitCast(hn::RebindToSigned<decltype(words)>(), smooth));
    const auto value = Blend(ints, from, hn::PromoteTo(ints, middle), factor);
    hn::StoreU(hn::U8FromU32(hn::BitCast(hn::RebindToUnsigned<decltype(ints)>(), value)), bytes,
               out + i);
  });
}

void BlendFromSmooth(float factor, const uint8_t* in, size_t size, uint8_t* out) {
  const size_t stride = 3 * size;
  HWY_ALIGN uint16_t columns[kSmoothedAtOnce + 6] = {};
  for (size_t y = 0; y < size; ++y, in += stride, out += stride) {
    if (y == 0 || y + 1 == size || size < 3) {
      std::memcpy(out, in, stride);
      continue;
    }
    std::memcpy(out, in, 3);
    for (size_t i = 3; i < stride - 3; i += kSmoothedAtOnce) {
      const size_t count = std::min(kSmoothedAtOnce, stride - 3 - i);
      SharpenPart(factor, in + i, stride, count, columns, out + i);
    }
    std::memcpy(out + stride - 3, in + stride - 3, 3);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace resnext
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace resnext {

HWY_EXPORT(LookUp);
HWY_EXPORT(LookUpColours);
HWY_EXPORT(FindColourRange);
HWY_EXPORT(SumOfGreys);
HWY_EXPORT(BlendFromGrey);
HWY_EXPORT(BlendFromSmooth);

void look_up(const ByteTable& table, const uint8_t* in, int64_t bytes, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(LookUp)(table, in, static_cast<size_t>(bytes), out);
}

void look_up(const std::array<ByteTable, 3>& tables, const uint8_t* in, int64_t count,
             uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(LookUpColours)(tables, in, static_cast<size_t>(count), out);
}

ColourRange colour_range(const uint8_t* in, int64_t count) {
  ColourRange range;
  HWY_DYNAMIC_DISPATCH(FindColourRange)(in, static_cast<size_t>(count), range);
  return range;
}

int64_t sum_of_greys(const uint8_t* in, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(SumOfGreys)(in, static_cast<size_t>(count));
}

void blend_from_grey(float factor, const uint8_t* in, int64_t count, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(BlendFromGrey)(factor, in, static_cast<size_t>(count), out);
}

void blend_from_smooth(float factor, const uint8_t* in, int64_t size, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(BlendFromSmooth)(factor, in, static_cast<size_t>(size), out);
}

}  // namespace resnext
#endif
