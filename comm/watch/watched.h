// This process as its watchdog and its program both see it. Not for callers: see watch.h.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "comm/watch/board.h"
#include "comm/watch/failures.h"
#include "comm/watch/job.h"

namespace resnext::watch {

struct Watched {
  explicit Watched(const Job& j) : job(j), board(job) {}

  const Job job;
  Board board;
  Failures failures{board};

  // How the ranks of the job lie, once they have all come.
  struct Layout {
    bool known = false;
    bool several = false;            // boards
    bool leads = false;              // this is the lowest rank of its board, and there are several
    int size = 0;                    // ranks
    std::vector<int> members;        // ranks of this board
    std::vector<std::string> hosts;  // by rank
  };
  Layout layout() const {
    const std::lock_guard lock(mutex_);
    return layout_;
  }
  void set_layout(Layout layout) {
    const std::lock_guard lock(mutex_);
    layout_ = std::move(layout);
  }
  std::string flight_folder() const {
    const std::lock_guard lock(mutex_);
    return flight_folder_;
  }
  void set_flight_folder(std::string folder) {
    const std::lock_guard lock(mutex_);
    flight_folder_ = std::move(folder);
  }

 private:
  mutable std::mutex mutex_;
  Layout layout_;
  std::string flight_folder_;
};

// What the functions of watch.h reach; null without a watchdog.
extern std::atomic<Watched*> current;

}  // namespace resnext::watch
