// Reads ahead what will be needed soon of a container, in the order of the file and in large
// pieces.
//
// One thread reads into nowhere: the system keeps the bytes in its page cache, where the decoders
// find them. The memory is the system's, given back when others need it; ours is one buffer. What
// cannot be read is passed over, as the decoder that needs it will say so. All functions belong to
// one thread at a time and do not wait for the disk. Throws ConfigError when the thread cannot be
// started.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "data/container/container.h"
#include "data/loader/worker_threads.h"

namespace resnext {

// Where `samples`, in any order, lie: pieces in the order of the file, joined where less than
// 128 KiB, which is what Linux reads ahead by itself, lies between them.
std::vector<FilePiece> joined_pieces(const Container& container, std::vector<int64_t> samples);

class ReadAhead {
 public:
  // `container` must outlive this.
  explicit ReadAhead(const Container& container);
  ~ReadAhead() = default;

  // Behind what was asked for before. Of the pieces, those number part, part + parts, ...: the
  // other processes of this host read the others.
  void add(std::vector<int64_t> samples, int part, int parts);
  // Drops what is not read yet.
  void clear();
  // Bytes read so far, for tests.
  uint64_t bytes() const;

 private:
  void run();

  const Container& container_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<FilePiece> queue_;  // pieces of at most kPart bytes
  uint64_t bytes_ = 0;
  bool stopping_ = false;
  WorkerThreads thread_;  // last: joined before the rest goes
};

}  // namespace resnext
