// Codes: ITU-T T.81, F.2.2 and annex C.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/huffman_decoder.h"

// These need jpeglib.h from above.
#include <jerror.h>
#include <jpegint.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace resnext {
namespace {

// Natural places of the 64 coefficients in zigzag order: T.81, figure 5.
constexpr std::array<uint8_t, 64> kZigzag = [] {
  std::array<uint8_t, 64> places{};
  size_t k = 0;
  for (int diagonal = 0; diagonal < 15; ++diagonal) {
    for (int i = 0; i <= diagonal; ++i) {
      const int row = diagonal % 2 == 0 ? diagonal - i : i, column = diagonal - row;
      if (row < 8 && column < 8) places[k++] = static_cast<uint8_t>(8 * row + column);
    }
  }
  return places;
}();

// A coefficient as its code says it.
class CodedCoefficient {
 public:
  static constexpr int kEndOfBlock = 64;  // as a run

  CodedCoefficient() = default;
  CodedCoefficient(int bits, int run, int value)
      : packed_(static_cast<uint32_t>(bits | run << 8) | static_cast<uint32_t>(value) << 16) {}

  int bits() const { return static_cast<int>(packed_ & 0xff); }  // of code and value; 0: no code
  int run() const { return static_cast<int>(packed_ >> 8 & 0xff); }  // zeros before it
  int value() const { return static_cast<int32_t>(packed_) >> 16; }

 private:
  uint32_t packed_ = 0;
};

// The codes of a table, and what they stand for.
class HuffmanTable {
 public:
  static constexpr int kPeek = 10;  // bits that are looked up

  // Of a table that libjpeg has checked, which must outlive this. Symbols are sizes (of DC), or
  // runs and sizes.
  void build(const JHUFF_TBL& table, bool dc);

  // What the next bits, highest first, begin with. None where that takes more than kPeek of them.
  CodedCoefficient look_up(uint64_t next) const { return entries_[next >> (64 - kPeek)]; }
  // However long it is. None where it is no code.
  CodedCoefficient find(uint64_t next) const;

 private:
  CodedCoefficient coefficient(int symbol, int code_bits, uint64_t behind_code) const;

  std::array<CodedCoefficient, 1 << kPeek> entries_;
  std::array<uint32_t, 17> end_{};     // of each length, behind its last code, as 16 bits
  std::array<int32_t, 17> symbols_{};  // of each length, index of the symbol of code 0
  const uint8_t* values_ = nullptr;
  bool dc_ = false;
};

int size_of(int symbol) {
  return symbol & 15;
}

// F.2.2.1: of `size` bits, those without the highest one are negative.
CodedCoefficient HuffmanTable::coefficient(int symbol, int code_bits, uint64_t behind_code) const {
  const int size = size_of(symbol), run = dc_ ? 0 : symbol >> 4;
  if (size == 0) return {code_bits, dc_ || run == 15 ? run : CodedCoefficient::kEndOfBlock, 0};
  const auto value = static_cast<int>(behind_code >> (64 - size));
  const bool negative = behind_code >> 63 == 0;
  return {code_bits + size, run, negative ? value - (1 << size) + 1 : value};
}

void HuffmanTable::build(const JHUFF_TBL& table, bool dc) {
  values_ = table.huffval;
  dc_ = dc;
  uint32_t code = 0;
  int32_t symbol = 0;
  for (int length = 1; length <= 16; ++length, code <<= 1) {
    symbols_[static_cast<size_t>(length)] = symbol - static_cast<int32_t>(code);
    for (int i = 0; i < table.bits[length]; ++i, ++code, ++symbol) {
      const int rest = kPeek - length, size = size_of(values_[symbol]);
      if (size > rest) continue;
      for (uint32_t value = 0; value < 1U << size; ++value) {
        const uint64_t behind = size == 0 ? 0 : static_cast<uint64_t>(value) << (64 - size);
        std::fill_n(&entries_[(code << rest) + (value << (rest - size))], 1 << (rest - size),
                    coefficient(values_[symbol], length, behind));
      }
    }
    end_[static_cast<size_t>(length)] = code << (16 - length);
  }
}

CodedCoefficient HuffmanTable::find(uint64_t next) const {
  if (const CodedCoefficient known = look_up(next); known.bits() > 0) return known;
  const auto code = static_cast<uint32_t>(next >> 48);
  size_t length = 1;
  while (length <= 16 && code >= end_[length]) ++length;
  if (length > 16) return {};
  const int32_t symbol = symbols_[length] + static_cast<int32_t>(code >> (16 - length));
  return coefficient(values_[symbol], static_cast<int>(length), next << length);
}

// What comes next in codes without stuffed bytes.
struct Bits {
  static constexpr int64_t kRefilled = 56;  // at least, by refill()

  uint64_t next = 0;            // highest first
  int64_t count = 0;            // of them that are there
  const uint8_t* at = nullptr;  // the byte behind them

  void refill() {
    uint64_t bytes;
    std::memcpy(&bytes, at, sizeof(bytes));
    if constexpr (std::endian::native == std::endian::little) bytes = __builtin_bswap64(bytes);
    next |= bytes >> count;
    at += (63 - count) >> 3;
    count |= kRefilled;
  }
  void skip(int bits) {
    next <<= bits;
    count -= bits;
  }
};

// Into a zeroed block.
J_MESSAGE_CODE decode_block(Bits& from, const HuffmanTable& dc, const HuffmanTable& ac,
                            uint32_t& last_dc, JCOEF* block) {
  constexpr int64_t kLookUps = Bits::kRefilled / HuffmanTable::kPeek;
  Bits bits = from;  // in registers
  bits.refill();
  CodedCoefficient c = dc.find(bits.next);
  if (c.bits() == 0) return JWRN_HUFF_BAD_CODE;
  bits.skip(c.bits());
  last_dc += static_cast<uint32_t>(c.value());
  block[0] = static_cast<JCOEF>(last_dc);
  for (int k = 1; k < DCTSIZE2;) {
    bits.refill();
    for (int64_t i = 0; i < kLookUps && k < DCTSIZE2; ++i, ++k) {
      c = ac.look_up(bits.next);
      if (c.bits() == 0) [[unlikely]] {
        bits.refill();
        c = ac.find(bits.next);
        if (c.bits() == 0) return JWRN_HUFF_BAD_CODE;
        i = kLookUps;
      }
      bits.skip(c.bits());
      k += c.run();
      if (k >= DCTSIZE2) {
        // As libjpeg takes it where a run leads beyond the block.
        if (c.value() != 0) block[DCTSIZE2 - 1] = static_cast<JCOEF>(c.value());
        break;
      }
      block[kZigzag[static_cast<size_t>(k)]] = static_cast<JCOEF>(c.value());
    }
  }
  from = bits;
  return JMSG_NOMESSAGE;
}

}  // namespace

struct HuffmanDecoder::Scan {
  // Behind the codes: a block of 64 codes of 16 bits, each with a value of 15, and what is read
  // ahead.
  static constexpr size_t kBehind = 64 * 31 / 8 + 16;

  // libjpeg's view of it.
  struct Entropy {
    jpeg_entropy_decoder base;
    Scan* scan;
  };

  // The next unit, into zeroed blocks, or nowhere.
  J_MESSAGE_CODE decode_unit(const jpeg_decompress_struct& info, JBLOCKROW* blocks);
  J_MESSAGE_CODE begin_interval(const jpeg_decompress_struct& info, bool nowhere);
  J_MESSAGE_CODE take_codes(uint8_t marker);

  Entropy entropy;
  std::array<HuffmanTable, NUM_HUFF_TBLS> dc;
  std::array<HuffmanTable, NUM_HUFF_TBLS> ac;
  const uint8_t* at = nullptr;  // in the JPEG
  const uint8_t* end = nullptr;
  int64_t units = 0;  // of the scan
  int64_t unit = 0;   // the next one

  // Of the interval.
  int64_t interval_end = 0;  // units
  bool passed_over = false;
  std::unique_ptr<uint8_t[]> codes;  // without stuffed bytes; kBehind ones behind them
  size_t codes_size = 0;
  Bits bits;
  std::array<uint32_t, MAX_COMPS_IN_SCAN> last_dc;
  JBLOCK unwanted;
};

// The codes up to `marker`, which is passed, or (0) to any, which is left.
J_MESSAGE_CODE HuffmanDecoder::Scan::take_codes(uint8_t marker) {
  uint8_t* to = codes.get();
  for (;;) {
    const auto left = static_cast<size_t>(end - at);
    const auto* found = static_cast<const uint8_t*>(std::memchr(at, 0xff, left));
    if (found == nullptr) return JWRN_JPEG_EOF;
    if (!passed_over) to = std::copy(at, found, to);
    at = found;
    while (found != end && *found == 0xff) ++found;  // fill bytes, B.1.1.2
    if (found == end) return JWRN_JPEG_EOF;
    if (*found != 0) {
      if (marker != 0 && *found != marker) return JWRN_MUST_RESYNC;
      if (marker != 0) at = found + 1;
      break;
    }
    if (!passed_over) *to++ = 0xff;
    at = found + 1;
  }
  codes_size = static_cast<size_t>(to - codes.get());
  if (!passed_over) std::fill_n(to, kBehind, uint8_t{0xff});
  return JMSG_NOMESSAGE;
}

J_MESSAGE_CODE HuffmanDecoder::Scan::begin_interval(const jpeg_decompress_struct& info,
                                                    bool nowhere) {
  const int64_t row = info.MCUs_per_row, length = info.restart_interval;
  const int64_t number = length > 0 ? unit / length : 0;
  interval_end = length > 0 ? std::min(unit + length, units) : units;
  const int64_t first = unit % row, behind = first + interval_end - unit;
  passed_over = behind <= row && (nowhere || behind <= info.master->first_iMCU_col ||
                                  first > info.master->last_iMCU_col);
  bits = {0, 0, codes.get()};
  last_dc = {};
  return take_codes(interval_end == units ? 0 : static_cast<uint8_t>(JPEG_RST0 + number % 8));
}

J_MESSAGE_CODE HuffmanDecoder::Scan::decode_unit(const jpeg_decompress_struct& info,
                                                 JBLOCKROW* blocks) {
  if (unit == interval_end) {
    const J_MESSAGE_CODE warning = begin_interval(info, blocks == nullptr);
    if (warning != JMSG_NOMESSAGE) return warning;
  }
  ++unit;
  if (passed_over) return JMSG_NOMESSAGE;
  for (int b = 0; b < info.blocks_in_MCU; ++b) {
    const auto c = static_cast<size_t>(info.MCU_membership[b]);
    const jpeg_component_info& component = *info.cur_comp_info[c];
    const J_MESSAGE_CODE warning =
        decode_block(bits, dc[static_cast<size_t>(component.dc_tbl_no)],
                     ac[static_cast<size_t>(component.ac_tbl_no)], last_dc[c],
                     blocks == nullptr ? unwanted : *blocks[b]);
    if (warning != JMSG_NOMESSAGE) return warning;
    const int64_t taken = (bits.at - codes.get()) * 8 - bits.count;
    if (taken > static_cast<int64_t>(codes_size) * 8) return JWRN_HIT_MARKER;
  }
  return JMSG_NOMESSAGE;
}

HuffmanDecoder::HuffmanDecoder(size_t jpeg_bytes) : scan_(std::make_unique<Scan>()) {
  scan_->codes = std::make_unique_for_overwrite<uint8_t[]>(jpeg_bytes + Scan::kBehind);
}

HuffmanDecoder::~HuffmanDecoder() = default;

bool HuffmanDecoder::install(jpeg_decompress_struct& info) {
  if (info.inputctl->has_multiple_scans || info.progressive_mode || info.arith_code ||
      info.data_precision != 8 || info.Ss != 0 || info.Se != DCTSIZE2 - 1) {
    return false;
  }
  Scan& scan = *scan_;
  for (int c = 0; c < info.comps_in_scan; ++c) {
    const auto dc = static_cast<size_t>(info.cur_comp_info[c]->dc_tbl_no);
    const auto ac = static_cast<size_t>(info.cur_comp_info[c]->ac_tbl_no);
    scan.dc[dc].build(*info.dc_huff_tbl_ptrs[dc], true);
    scan.ac[ac].build(*info.ac_huff_tbl_ptrs[ac], false);
  }
  scan.at = info.src->next_input_byte;
  scan.end = scan.at + info.src->bytes_in_buffer;
  scan.units = static_cast<int64_t>(info.MCUs_per_row) * info.MCU_rows_in_scan;
  scan.entropy = {*info.entropy, &scan};
  scan.entropy.base.decode_mcu = [](j_decompress_ptr of, JBLOCKROW* blocks) -> boolean {
    Scan& its_scan = *reinterpret_cast<Scan::Entropy*>(of->entropy)->scan;
    const J_MESSAGE_CODE warning = its_scan.decode_unit(*of, blocks);
    if (warning != JMSG_NOMESSAGE) WARNMS(of, warning);
    of->src->next_input_byte = its_scan.at;
    of->src->bytes_in_buffer = static_cast<size_t>(its_scan.end - its_scan.at);
    return TRUE;
  };
  info.entropy = &scan.entropy.base;
  return true;
}

void check_huffman_codes(std::span<const uint8_t> jpeg) {
  HuffmanDecoder huffman(jpeg.size());
  Decompressor decompressor(jpeg);
  jpeg_decompress_struct& info = decompressor.info();
  decompressor.guarded([&] { jpeg_start_decompress(&info); });
  if (!huffman.install(info)) return;
  JBLOCK blocks[D_MAX_BLOCKS_IN_MCU];
  JBLOCKROW places[D_MAX_BLOCKS_IN_MCU];
  for (int b = 0; b < D_MAX_BLOCKS_IN_MCU; ++b) places[b] = &blocks[b];
  decompressor.guarded([&] {
    const int64_t units = static_cast<int64_t>(info.MCUs_per_row) * info.MCU_rows_in_scan;
    for (int64_t i = 0; i < units; ++i) info.entropy->decode_mcu(&info, places);
  });
}

}  // namespace resnext
