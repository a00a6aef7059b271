// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/shuffle_quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>

#include "data/container/file.h"
#include "data/loader/read_ahead.h"
#include "data/sampler.h"

namespace resnext {
namespace {

constexpr uint64_t kSeed = 1;
constexpr uint64_t kMeasured = 1 << 30;  // bytes of one rate
constexpr double kSeconds = 3;
constexpr uint64_t kRead = 4 << 20;

std::vector<int64_t> order_of(const Container& container, Shuffle shuffle) {
  return Sampler(container.count(), SampleOrder{kSeed, shuffle}).order(0);
}

// Bytes a second.
double read_rate(const std::vector<FilePiece>& pieces) {
  using Clock = std::chrono::steady_clock;
  std::vector<uint8_t> buffer(kRead);
  uint64_t bytes = 0;
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  for (const FilePiece& piece : pieces) {
    for (uint64_t at = 0; at < piece.bytes; at += kRead) {
      const uint64_t part = std::min(kRead, piece.bytes - at);
      piece.file->read_at(piece.offset + at, std::span(buffer).first(part));
      bytes += part;
      if (bytes >= kMeasured || seconds() > kSeconds) return static_cast<double>(bytes) / seconds();
    }
  }
  return static_cast<double>(bytes) / std::max(seconds(), 1e-6);
}

// As read_rate(), from the disk.
double cold_rate(const Container& container, const std::vector<FilePiece>& pieces) {
  for (const FilePiece& piece : container.pieces(0, container.count())) {
    piece.file->forget(piece.offset, piece.bytes);
  }
  return read_rate(pieces);
}

// Window by window, each in the order of the file.
std::vector<FilePiece> block_pieces(const Container& container) {
  const std::vector<int64_t> order = order_of(container, Shuffle::kBlock);
  std::vector<FilePiece> pieces;
  for (int64_t begin = 0; begin < container.count(); begin += kShuffleWindow) {
    const int64_t end = std::min(begin + kShuffleWindow, container.count());
    const auto window = joined_pieces(container, {order.begin() + begin, order.begin() + end});
    pieces.insert(pieces.end(), window.begin(), window.end());
  }
  return pieces;
}

std::vector<FilePiece> full_pieces(const Container& container) {
  std::vector<FilePiece> pieces;
  for (const int64_t i : order_of(container, Shuffle::kFull)) {
    pieces.push_back(container.pieces(i, i + 1).front());
  }
  return pieces;
}

std::string describe_rates(const Container& container) {
  if (!container.direct()) return "through HDF5, one sample at a time whatever the order";
  const double sequential = cold_rate(container, container.pieces(0, container.count()));
  const double block = cold_rate(container, block_pieces(container));
  const double full = cold_rate(container, full_pieces(container));
  return fmt::format(
      "one sample after another {:.0f} MB/s, block {:.0f} MB/s ({:.0f} %), full {:.0f} MB/s "
      "({:.0f} %)",
      sequential / 1e6, block / 1e6, 100 * block / sequential, full / 1e6, 100 * full / sequential);
}

}  // namespace

double expected_classes(const std::vector<int64_t>& class_counts, int64_t batch) {
  const auto all =
      static_cast<double>(std::accumulate(class_counts.begin(), class_counts.end(), int64_t{0}));
  const auto b = static_cast<double>(batch);
  const auto log_choose = [b](double n) {
    return std::lgamma(n + 1) - std::lgamma(b + 1) - std::lgamma(n - b + 1);
  };
  double classes = 0;
  for (const int64_t n : class_counts) {
    const double others = all - static_cast<double>(n);
    classes += 1 - (others < b ? 0 : std::exp(log_choose(others) - log_choose(all)));
  }
  return classes;
}

double mean_classes(const Container& container, Shuffle shuffle, int64_t batch) {
  const std::vector<int64_t> order = order_of(container, shuffle);
  const int64_t batches = container.count() / batch;
  std::vector<int64_t> last_batch(static_cast<size_t>(container.classes()), -1);
  int64_t seen = 0;
  for (int64_t i = 0; i < batches * batch; ++i) {
    int64_t& last = last_batch[static_cast<size_t>(container.label(order[static_cast<size_t>(i)]))];
    seen += last == i / batch ? 0 : 1;
    last = i / batch;
  }
  return static_cast<double>(seen) / static_cast<double>(batches);
}

std::string describe_shuffle(const Container& container, int64_t batch) {
  batch = std::min(batch, container.count());
  return fmt::format(
      "batches  classes in one of {}: full {:.2f}, block {:.2f}; of any {} images {:.2f}\n"
      "rates    {}\n",
      batch, mean_classes(container, Shuffle::kFull, batch),
      mean_classes(container, Shuffle::kBlock, batch), batch,
      expected_classes(container.class_counts(), batch), describe_rates(container));
}

}  // namespace resnext
