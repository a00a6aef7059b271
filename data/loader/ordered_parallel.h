// Computes results in parallel and hands them over in order, with bounded memory.
//
// ordered_parallel(count, threads, produce, consume): produce(i) runs on one of `threads` threads,
// consume(i, result) on the caller's, for i = 0, 1, ... in order. At most a few results for each
// thread wait. The first exception of either, in order, ends all work and is rethrown. Throws
// ConfigError when the threads cannot be started.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "data/loader/worker_threads.h"

namespace resnext {

template <typename Result, typename Produce>
class OrderedWorkers {
 public:
  OrderedWorkers(int64_t count, int64_t threads, const Produce& produce)
      : count_(count),
        produce_(produce),
        waiting_(static_cast<size_t>(4 * threads)),
        threads_(
            threads, [this] { run(); }, [this] { stop(); }) {}

  // The next result in order; call `count` times.
  Result next() {
    std::unique_lock lock(mutex_);
    Place& place = place_of(consumed_);
    ready_.wait(lock, [&] { return place.result.has_value() || place.error; });
    if (place.error) std::rethrow_exception(place.error);
    Result result = std::move(*place.result);
    place.result.reset();
    ++consumed_;
    room_.notify_one();
    return result;
  }

 private:
  struct Place {
    std::optional<Result> result;
    std::exception_ptr error;
  };

  Place& place_of(int64_t i) { return waiting_[static_cast<size_t>(i) % waiting_.size()]; }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    room_.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [this] {
        return stopping_ || taken_ == count_ ||
               taken_ - consumed_ < static_cast<int64_t>(waiting_.size());
      });
      if (stopping_ || taken_ == count_) return;
      const int64_t i = taken_++;
      lock.unlock();
      Place place = produce(i);
      lock.lock();
      place_of(i) = std::move(place);
      ready_.notify_one();
    }
  }

  Place produce(int64_t i) {
    Place place;
    try {
      place.result.emplace(produce_(i));
    } catch (...) {
      place.error = std::current_exception();
    }
    return place;
  }

  const int64_t count_;
  const Produce& produce_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::vector<Place> waiting_;
  int64_t taken_ = 0;
  int64_t consumed_ = 0;
  bool stopping_ = false;
  WorkerThreads threads_;  // last: joined before the rest goes
};

template <typename Produce, typename Consume>
void ordered_parallel(int64_t count, int64_t threads, const Produce& produce,
                      const Consume& consume) {
  using Result = std::invoke_result_t<const Produce&, int64_t>;
  OrderedWorkers<Result, Produce> workers(count, threads, produce);
  for (int64_t i = 0; i < count; ++i) consume(i, workers.next());
}

}  // namespace resnext
