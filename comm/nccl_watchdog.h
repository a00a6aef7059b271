// Watches device collectives from a thread of its own: asynchronous errors, failures of other ranks
// and, where no watchdog of the process (watch/watch.h) knows who hangs, deadlines.
//
// On a failure it publishes and keeps the error, aborts the communicator, so that no kernel hangs
// and the thread that waits for the device comes back, and gives the error to that thread at its
// next call. When the abort hangs, or nobody comes for the error, `on_stuck` must end the process.
//
// Owner: NcclCommunicator. The thread ends with the destructor, or after a failure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "comm/common/error.h"
#include "comm/communicator.h"
#include "comm/cuda_handles.h"

namespace resnext {

class NcclHandle;

class NcclWatchdog {
 public:
  struct Options {
    int rank = 0;
    int device = 0;
    double timeout_s = 600;  // of a collective, counted from the end of the one before
    double patience_s = 10;  // for someone to come for the error after a failure
    std::function<void(const Error&)> on_stuck;  // called on the watchdog's thread
  };
  // `comm` must outlive this.
  NcclWatchdog(NcclHandle& comm, Options options);
  ~NcclWatchdog();
  NcclWatchdog(const NcclWatchdog&) = delete;
  NcclWatchdog& operator=(const NcclWatchdog&) = delete;

  // Watches a collective: `done` was recorded after it. Tickets must increase.
  void add(Ticket ticket, std::string what, std::shared_ptr<const CudaEvent> done);
  // The event of the last collective up to `ticket`; null when all of them have completed.
  std::shared_ptr<const CudaEvent> last_until(Ticket ticket) const;
  // Throws the error of a failure.
  void throw_if_failed();

 private:
  struct Watched {
    Ticket ticket;
    std::string what;
    std::shared_ptr<const CudaEvent> done;
  };
  using Clock = std::chrono::steady_clock;

  void run();
  void inspect();
  void retire_completed();
  void check_deadline();
  void tell(Ticket ticket, double seconds);
  static void publish(const std::exception_ptr& failure) noexcept;
  void take_down(const std::exception_ptr& failure) noexcept;
  bool someone_comes();

  NcclHandle& comm_;
  const Options options_;
  mutable std::mutex mutex_;  // guards all below; never held during a call of CUDA or NCCL
  std::condition_variable changed_;
  std::deque<Watched> watched_;
  Clock::time_point since_;  // the front has been waited for
  std::exception_ptr failure_;
  bool waiting_told_ = false;  // to the process's watchdog
  bool thrown_ = false;        // the failure has reached the owner
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace resnext
