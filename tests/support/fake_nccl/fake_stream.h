// Streams and events of the fake: a stream is a thread that carries out work in the order in which
// it was given.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace resnext::test {

// Work for `stream` (null: the legacy stream), or for the capture that it is in. Returns at once.
void enqueue(cudaStream_t stream, std::function<void()> work);
// The same, past any capture.
void carry_out(cudaStream_t stream, std::function<void()> work);

// How often an event was recorded, and how many of these records have been reached.
struct EventState {
  void reach(uint64_t record) {
    std::lock_guard lock(mutex);
    reached = std::max(reached, record);
    changed.notify_all();
  }
  void wait_for(uint64_t record) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return reached >= record; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  uint64_t recorded = 0;
  uint64_t reached = 0;
};

}  // namespace resnext::test
