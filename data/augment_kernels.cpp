// The vector loops. This file is compiled once for each instruction set (foreach_target.h), and
// multiply and add are not fused in it.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment_kernels.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/augment_kernels.cpp"
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

// Calls work(in, out) for each `block` bytes; the rest is worked on in a block of its own, of which
// the other bytes are 0.
template <size_t kMost, typename Work>
void ForBlocks(const uint8_t* in, size_t bytes, uint8_t* out, size_t block, const Work& work) {
  size_t i = 0;
  for (; i + block <= bytes; i += block) work(in + i, out + i);
  if (i == bytes) return;
  HWY_ALIGN uint8_t rest[kMost] = {};
  std::memcpy(rest, in + i, bytes - i);
  work(rest, rest);
  std::memcpy(out + i, rest, bytes - i);
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
  ForBlocks<kBytesAtOnce>(in, bytes, out, hn::Lanes(d), [&](const uint8_t* from, uint8_t* to) {
    hn::StoreU(found(hn::LoadU(d, from)), d, to);
  });
}

// Calls work(red, green, blue) for vectors of pixels, which it may change.
template <typename D, typename Work>
void ForPixels(D d, const uint8_t* in, size_t count, uint8_t* out, const Work& work) {
  ForBlocks<3 * hn::MaxLanes(D())>(in, 3 * count, out, 3 * hn::Lanes(d),
                                   [&](const uint8_t* from, uint8_t* to) {
                                     hn::Vec<D> r, g, b;
                                     hn::LoadInterleaved3(d, from, r, g, b);
                                     work(r, g, b);
                                     hn::StoreInterleaved3(r, g, b, d, to);
                                   });
}

void LookUpColours(const std::array<ByteTable, 3>& tables, const uint8_t* in, size_t count,
                   uint8_t* out) {
  const Table red(tables[0]), green(tables[1]), blue(tables[2]);
  ForPixels(Bytes(), in, count, out, [&](Vector& r, Vector& g, Vector& b) {
    r = red(r);
    g = green(g);
    b = blue(b);
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

// Of as many pixels as there are int32 lanes.
template <typename D8>
hn::Vec<hn::Rebind<int32_t, D8>> Grey(D8 bytes, hn::Vec<D8> r, hn::Vec<D8> g, hn::Vec<D8> b) {
  const hn::Rebind<int32_t, D8> ints;
  const auto part = [&](hn::Vec<D8> v, int32_t weight) {
    return hn::Mul(hn::PromoteTo(ints, v), hn::Set(ints, weight));
  };
  const auto sum = hn::Add(hn::Add(part(r, 19595), part(g, 38470)), part(b, 7471));
  return hn::ShiftRight<16>(hn::Add(sum, hn::Set(ints, 0x8000)));
}

int64_t SumOfGreys(const uint8_t* in, size_t count) {
  const hn::ScalableTag<int32_t> ints;
  const hn::Rebind<uint8_t, decltype(ints)> bytes;
  constexpr size_t kPixels = size_t{1} << 16;  // whose sum fits
  int64_t total = 0;
  for (size_t i = 0; i < count; i += kPixels) {
    auto sum = hn::Zero(ints);
    const size_t block = 3 * hn::Lanes(bytes), end = 3 * std::min(kPixels, count - i);
    const auto add = [&](const uint8_t* from) {
      hn::Vec<decltype(bytes)> r, g, b;
      hn::LoadInterleaved3(bytes, from, r, g, b);
      sum = hn::Add(sum, Grey(bytes, r, g, b));
    };
    size_t k = 0;
    for (; k + block <= end; k += block) add(in + 3 * i + k);
    HWY_ALIGN uint8_t rest[3 * hn::MaxLanes(bytes)] = {};  // black adds nothing
    std::memcpy(rest, in + 3 * i + k, end - k);
    add(rest);
    total += hn::GetLane(hn::SumOfLanes(ints, sum));
  }
  return total;
}

template <typename D32>
hn::Vec<hn::Rebind<uint8_t, D32>> Blend(D32 ints, hn::Vec<D32> from, hn::Vec<D32> to,
                                        float factor) {
  const hn::Rebind<float, D32> floats;
  const auto step = hn::Mul(hn::Set(floats, factor), hn::ConvertTo(floats, hn::Sub(to, from)));
  const auto value = hn::Add(hn::ConvertTo(floats, from), step);
  return hn::DemoteTo(hn::Rebind<uint8_t, D32>(), hn::ConvertTo(ints, value));
}

void BlendFromGrey(float factor, const uint8_t* in, size_t count, uint8_t* out) {
  const hn::ScalableTag<int32_t> ints;
  const hn::Rebind<uint8_t, decltype(ints)> bytes;
  ForPixels(bytes, in, count, out, [&](auto& r, auto& g, auto& b) {
    const auto grey = Grey(bytes, r, g, b);
    for (auto* c : {&r, &g, &b}) *c = Blend(ints, grey, hn::PromoteTo(ints, *c), factor);
  });
}

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
    hn::StoreU(Blend(ints, from, hn::PromoteTo(ints, middle), factor), bytes, out + i);
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
