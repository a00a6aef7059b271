// Threads that are told to stop before they are joined, also when one of them cannot be created.
//
// Make it the last member: it ends first. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "comm/common/error.h"

namespace resnext {

class WorkerThreads {
 public:
  // Runs `run` on `count` threads. `stop` makes it return on all of them; called once, at the end.
  // Throws ConfigError when the system gives no more threads.
  WorkerThreads(int64_t count, const std::function<void()>& run, std::function<void()> stop)
      : WorkerThreads(std::move(stop)) {  // a complete object: it is destroyed if this throws
    try {
      while (static_cast<int64_t>(threads_.size()) < count) threads_.emplace_back(run);
    } catch (const std::system_error& error) {
      throw ConfigError("threads",
                        "only " + std::to_string(threads_.size()) + " of " + std::to_string(count) +
                            " could be started: " + error.what(),
                        "use fewer (data.threads, --threads), or raise the limit of processes "
                        "(ulimit -u, or that of the container or job)");
    }
  }
  ~WorkerThreads() { stop_(); }
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

 private:
  explicit WorkerThreads(std::function<void()> stop) : stop_(std::move(stop)) {}

  const std::function<void()> stop_;
  std::vector<std::jthread> threads_;  // joined after stop_()
};

}  // namespace resnext
