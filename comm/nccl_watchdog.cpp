// SPDX-License-Identifier: BSD-3-Clause
#include "comm/nccl_watchdog.h"

#include <spdlog/fmt/fmt.h>

#include "comm/cuda_check.h"
#include "comm/nccl_handle.h"
#include "comm/watch/watch.h"

namespace resnext {
namespace {

constexpr std::chrono::milliseconds kPoll{20};

// CUDA's state of this thread: it must not make a context on device 0, and its questions must not
// break a graph that another thread captures.
void set_up_thread(int device) {
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  check_cuda(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
}

template <class F>
std::exception_ptr caught(F f) {
  try {
    f();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

NcclWatchdog::NcclWatchdog(NcclHandle& comm, Options options)
    : comm_(comm), options_(std::move(options)), thread_([this] { run(); }) {}

NcclWatchdog::~NcclWatchdog() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  tell(0, 0);
}

void NcclWatchdog::add(Ticket ticket, std::string what, std::shared_ptr<const CudaEvent> done) {
  std::lock_guard lock(mutex_);
  if (watched_.empty()) since_ = Clock::now();
  watched_.push_back({ticket, std::move(what), std::move(done)});
}

std::shared_ptr<const CudaEvent> NcclWatchdog::last_until(Ticket ticket) const {
  std::lock_guard lock(mutex_);
  for (auto it = watched_.rbegin(); it != watched_.rend(); ++it) {
    if (it->ticket <= ticket) return it->done;
  }
  return nullptr;
}

void NcclWatchdog::throw_if_failed() {
  std::lock_guard lock(mutex_);
  if (!failure_) return;
  thrown_ = true;
  changed_.notify_all();
  std::rethrow_exception(failure_);
}

void NcclWatchdog::run() {
  std::exception_ptr failure = caught([&] { set_up_thread(options_.device); });
  std::unique_lock lock(mutex_);
  while (!failure) {
    if (changed_.wait_for(lock, kPoll, [&] { return stopping_; })) return;
    lock.unlock();
    failure = caught([&] { inspect(); });
    lock.lock();
  }
  failure_ = failure;
  lock.unlock();
  publish(failure);
  take_down(failure);
}

void NcclWatchdog::inspect() {
  retire_completed();
  check_deadline();
  comm_.poll();
}

void NcclWatchdog::retire_completed() {
  std::unique_lock lock(mutex_);
  while (!watched_.empty()) {
    const std::shared_ptr<const CudaEvent> done = watched_.front().done;
    lock.unlock();
    if (!done->completed()) return;
    lock.lock();
    watched_.pop_front();
    since_ = Clock::now();
  }
}

// Another communicator's watchdog may be telling what it waits for: one that waits for nothing is
// silent.
void NcclWatchdog::tell(Ticket ticket, double seconds) {
  if (ticket != 0 || waiting_told_) watch::device_waits(ticket, seconds);
  waiting_told_ = ticket != 0;
}

void NcclWatchdog::check_deadline() {
  watch::throw_if_failed();
  std::lock_guard lock(mutex_);
  if (watched_.empty()) return tell(0, 0);
  const std::chrono::duration<double> waited = Clock::now() - since_;
  tell(watched_.front().ticket, waited.count());
  if (watch::on_duty() || waited.count() < options_.timeout_s) return;
  throw CommError(fmt::format("collective {}", watched_.front().ticket),
                  fmt::format("{} did not complete within {} s: a peer hangs or is lost",
                              watched_.front().what, options_.timeout_s),
                  "start again from the last checkpoint, or raise comm.timeout_s");
}

// Before the abort, which peers notice.
void NcclWatchdog::publish(const std::exception_ptr& failure) noexcept {
  try {
    watch::guard([&] { std::rethrow_exception(failure); });
  } catch (const std::exception&) {  // is thrown to the training thread
  }
}

void NcclWatchdog::take_down(const std::exception_ptr& failure) noexcept {
  if (comm_.abort() && someone_comes()) return;
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    options_.on_stuck(error);
  } catch (const std::exception& error) {
    options_.on_stuck(
        CommError("NCCL watchdog", error.what(), "start again from the last checkpoint"));
  }
}

bool NcclWatchdog::someone_comes() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::duration<double>(options_.patience_s),
                           [&] { return thrown_ || stopping_; });
}

}  // namespace resnext
