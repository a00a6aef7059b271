// SPDX-License-Identifier: BSD-3-Clause
#include "data/image/huffman_tables.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace resnext {
namespace {

// For each row of a block and each set of its columns, the set of their places in zigzag order.
constexpr std::array<std::array<uint64_t, 256>, 8> kZigzagSets = [] {
  std::array<std::array<uint64_t, 256>, 8> sets{};
  for (size_t k = 0; k < 64; ++k) {
    const size_t row = kZigzag[k] / 8, column = kZigzag[k] % 8;
    for (size_t set = 0; set < 256; ++set) sets[row][set] |= (set >> column & 1) << k;
  }
  return sets;
}();

// The places in zigzag order of the coefficients that are not zero.
uint64_t nonzero_places(const std::array<uint16_t, 64>& magnitudes) {
  std::array<uint8_t, 64> nonzero;
  for (size_t i = 0; i < 64; ++i) nonzero[i] = magnitudes[i] != 0 ? 1 : 0;
  uint64_t places = 0;
  for (size_t row = 0; row < 8; ++row) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, &nonzero[8 * row], 8);
    // Byte i of eight, 0 or 1, becomes bit i of the upper byte.
    constexpr uint64_t kGather = 0x0102040810204080;
    places |= kZigzagSets[row][bytes * kGather >> 56];
  }
  return places;
}

// Bits of a coefficient's magnitude: its category in T.81, tables F.1 and F.2.
uint32_t category(int value) {
  return static_cast<uint32_t>(std::bit_width(static_cast<unsigned>(std::abs(value))));
}

// What a table's codes say in a scan; T.81, F.1.2.
class ScanSymbols {
 public:
  void add(const JCOEF* block, int prediction) {
    ++dc_[category(block[0] - prediction)];
    std::array<uint16_t, 64> magnitudes;
    for (size_t i = 0; i < 64; ++i) magnitudes[i] = static_cast<uint16_t>(std::abs(block[i]));
    uint64_t places = nonzero_places(magnitudes) & ~uint64_t{1};
    uint32_t last = 0;
    for (; places != 0; places &= places - 1) {
      const auto place = static_cast<uint32_t>(std::countr_zero(places));
      const auto zeros = static_cast<uint32_t>(std::countl_zero(magnitudes[kZigzag[place]] | 1U));
      ++steps_[(place - last) * kCategories + (31 - zeros)];
      last = place;
    }
    if (last < 63) ++ends_;
  }
  // A block beyond the image's edge, which its scan has to hold.
  void add_filling() {
    ++dc_[0];
    ++ends_;
  }

  const SymbolCounts& dc() const { return dc_; }
  SymbolCounts ac() const {
    SymbolCounts counts{};
    counts[0] = ends_;
    for (size_t step = 1; step < 64; ++step) {
      for (size_t bits = 1; bits <= 10; ++bits) {
        const int64_t count = steps_[step * kCategories + bits - 1];
        counts[0xf0] += count * static_cast<int64_t>((step - 1) / 16);
        counts[(step - 1) % 16 << 4 | bits] += count;
      }
    }
    return counts;
  }
  // Baseline's largest categories are 11 and 10.
  bool are_baseline() const {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (i % kCategories >= 10 && steps_[i] > 0) return false;
    }
    return std::all_of(dc_.begin() + 12, dc_.end(), [](int64_t count) { return count == 0; });
  }

 private:
  static constexpr size_t kCategories = 16;  // 1..16
  SymbolCounts dc_{};
  // AC coefficients by how many places they are behind the one before, and by category.
  std::array<uint32_t, 64 * kCategories> steps_{};
  int64_t ends_ = 0;  // of blocks, before their last place
};

// A component of a scan: its blocks come in units (T.81, A.2), the last of which reach beyond the
// image's edge.
struct ScanComponent {
  int number = 0;
  int64_t height = 0, width = 0;            // blocks
  int64_t unit_height = 1, unit_width = 1;  // blocks; one by one where there is no other component
  ScanSymbols* symbols = nullptr;
  int prediction = 0;

  void add_unit(const JpegCoefficients& in, int64_t unit_row, int64_t unit_column) {
    const int64_t left = unit_column * unit_width;
    const int64_t held = std::min(unit_width, width - left);
    for (int64_t y = unit_row * unit_height; y < (unit_row + 1) * unit_height; ++y) {
      const int64_t blocks = y < height ? held : 0;
      for (int64_t x = left; x < left + blocks; ++x) {
        const JCOEF* block = in.row(number, y)[x];
        symbols->add(block, prediction);
        prediction = block[0];
      }
      for (int64_t i = blocks; i < unit_width; ++i) symbols->add_filling();
    }
  }
};

using ScanTables = std::array<ScanSymbols, NUM_HUFF_TBLS>;

// libjpeg gives both tables of a component the same number.
std::vector<ScanComponent> components_of(const JpegCoefficients& in,
                                         const jpeg_compress_struct& out, ScanTables& tables) {
  std::vector<ScanComponent> components(static_cast<size_t>(out.num_components));
  for (size_t c = 0; c < components.size(); ++c) {
    ScanComponent& component = components[c];
    const jpeg_component_info& info = in.info().comp_info[c];
    component.number = static_cast<int>(c);
    component.height = info.height_in_blocks;
    component.width = info.width_in_blocks;
    if (components.size() > 1) component.unit_height = info.v_samp_factor;
    if (components.size() > 1) component.unit_width = info.h_samp_factor;
    component.symbols = &tables[static_cast<size_t>(out.comp_info[c].dc_tbl_no)];
  }
  return components;
}

ScanTables count_symbols(const JpegCoefficients& in, const jpeg_compress_struct& out) {
  ScanTables tables;
  std::vector<ScanComponent> components = components_of(in, out, tables);
  const ScanComponent& first = components.front();
  const int64_t rows = (first.height + first.unit_height - 1) / first.unit_height;
  const int64_t columns = (first.width + first.unit_width - 1) / first.unit_width;
  for (int64_t unit = 0; unit < rows * columns; ++unit) {
    const bool restart = unit % out.restart_interval == 0;
    for (ScanComponent& component : components) {
      if (restart) component.prediction = 0;
      component.add_unit(in, unit / columns, unit % columns);
    }
  }
  return tables;
}

constexpr size_t kLongest = 16;  // code, bits

// The trees that Huffman's procedure joins.
struct Tree {
  int64_t count = 0;
  std::vector<size_t> symbols;  // the first one stands for it
};

// The rarest tree is on top.
bool is_taken_later(const Tree& a, const Tree& b) {
  return a.count != b.count ? a.count > b.count : a.symbols.front() < b.symbols.front();
}

// Of each symbol, 0 where it does not occur; and of one more, rarer than all, which takes the code
// of ones only.
std::vector<size_t> code_lengths(const SymbolCounts& counts) {
  std::vector<size_t> lengths(counts.size() + 1, 0);
  std::vector<Tree> trees = {{1, {counts.size()}}};
  for (size_t symbol = 0; symbol < counts.size(); ++symbol) {
    if (counts[symbol] > 0) trees.push_back({counts[symbol], {symbol}});
  }
  const auto take = [&] {
    std::ranges::pop_heap(trees, is_taken_later);
    Tree tree = std::move(trees.back());
    trees.pop_back();
    return tree;
  };
  std::ranges::make_heap(trees, is_taken_later);
  while (trees.size() > 1) {
    Tree tree = take();
    const Tree other = take();
    tree.count += other.count;
    tree.symbols.insert(tree.symbols.end(), other.symbols.begin(), other.symbols.end());
    for (const size_t symbol : tree.symbols) ++lengths[symbol];
    trees.push_back(std::move(tree));
    std::ranges::push_heap(trees, is_taken_later);
  }
  return lengths;
}

// Makes codes that are too long shorter, two at a time: they differ in their last bit, so one of
// them can do without it. The other one goes with the longest code that is shorter still: a bit
// more tells those two apart. T.81, figure K.3.
void limit_lengths(std::vector<int>& codes) {
  for (size_t length = codes.size() - 1; length > kLongest; --length) {
    while (codes[length] > 0) {
      size_t shorter = length - 2;
      while (codes[shorter] == 0) --shorter;
      codes[length] -= 2;
      ++codes[length - 1];
      --codes[shorter];
      codes[shorter + 1] += 2;
    }
  }
}

}  // namespace

JHUFF_TBL optimal_table(const SymbolCounts& counts) {
  const std::vector<size_t> lengths = code_lengths(counts);
  std::vector<int> codes(lengths.size(), 0);  // of each length
  for (const size_t length : lengths) ++codes[length];
  codes[0] = 0;
  limit_lengths(codes);
  size_t longest = kLongest;
  while (codes[longest] == 0) --longest;
  --codes[longest];  // of ones only

  JHUFF_TBL table{};
  std::copy_n(codes.begin(), kLongest + 1, table.bits);
  std::vector<UINT8> symbols;
  for (size_t symbol = 0; symbol < counts.size(); ++symbol) {
    if (lengths[symbol] > 0) symbols.push_back(static_cast<UINT8>(symbol));
  }
  std::ranges::stable_sort(symbols, {}, [&](UINT8 symbol) { return lengths[symbol]; });
  std::ranges::copy(symbols, table.huffval);
  return table;
}

bool set_optimal_tables(const JpegCoefficients& in, jpeg_compress_struct& out) {
  const ScanTables tables = count_symbols(in, out);
  for (int c = 0; c < out.num_components; ++c) {
    const auto number = static_cast<size_t>(out.comp_info[c].dc_tbl_no);
    if (!tables[number].are_baseline()) return false;
    *out.dc_huff_tbl_ptrs[number] = optimal_table(tables[number].dc());
    *out.ac_huff_tbl_ptrs[number] = optimal_table(tables[number].ac());
  }
  return true;
}

}  // namespace resnext
