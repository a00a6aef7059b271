// SPDX-License-Identifier: BSD-3-Clause
#include "data/loader/read_ahead.h"

#include <algorithm>
#include <span>

#include "comm/common/error.h"
#include "data/container/file.h"

namespace resnext {
namespace {

constexpr uint64_t kMaxGap = 128 << 10;
constexpr uint64_t kPart = 4 << 20;  // bytes of one read

void append_joined(std::vector<FilePiece>& pieces, const FilePiece& piece) {
  if (!pieces.empty() && pieces.back().file == piece.file) {
    FilePiece& last = pieces.back();
    if (piece.offset <= last.offset + last.bytes + kMaxGap) {
      last.bytes = piece.offset + piece.bytes - last.offset;
      return;
    }
  }
  pieces.push_back(piece);
}

}  // namespace

std::vector<FilePiece> joined_pieces(const Container& container, std::vector<int64_t> samples) {
  std::ranges::sort(samples);
  std::vector<FilePiece> pieces;
  for (size_t i = 0; i < samples.size();) {
    size_t end = i + 1;
    while (end < samples.size() && samples[end] == samples[end - 1] + 1) ++end;
    for (const FilePiece& piece : container.pieces(samples[i], samples[end - 1] + 1)) {
      append_joined(pieces, piece);
    }
    i = end;
  }
  return pieces;
}

ReadAhead::ReadAhead(const Container& container)
    : container_(container),
      thread_(
          1, [this] { run(); },
          [this] {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            work_.notify_all();
          }) {}

void ReadAhead::add(std::vector<int64_t> samples, int part, int parts) {
  const std::vector<FilePiece> pieces = joined_pieces(container_, std::move(samples));
  const std::lock_guard lock(mutex_);
  for (auto i = static_cast<size_t>(part); i < pieces.size(); i += static_cast<size_t>(parts)) {
    const FilePiece& piece = pieces[i];
    for (uint64_t at = 0; at < piece.bytes; at += kPart) {
      queue_.push_back({piece.file, piece.offset + at, std::min(kPart, piece.bytes - at)});
    }
  }
  work_.notify_all();
}

void ReadAhead::clear() {
  const std::lock_guard lock(mutex_);
  queue_.clear();
}

uint64_t ReadAhead::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void ReadAhead::run() {
  std::vector<uint8_t> buffer(kPart);
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const FilePiece piece = queue_.front();
    queue_.pop_front();
    lock.unlock();
    try {
      piece.file->read_at(piece.offset, std::span(buffer).first(piece.bytes));
    } catch (const DataError&) {
    }
    lock.lock();
    bytes_ += piece.bytes;
  }
}

}  // namespace resnext
