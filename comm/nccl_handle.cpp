// SPDX-License-Identifier: BSD-3-Clause
#include "comm/nccl_handle.h"

#include <cuda_runtime_api.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "comm/common/error.h"
#include "comm/nccl_check.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Holds the mutex, unless it has not become free within `seconds`.
std::unique_lock<std::mutex> lock_within(std::mutex& mutex, double seconds) {
  const auto deadline = Clock::now() + Seconds(seconds);
  std::unique_lock lock(mutex, std::try_to_lock);
  while (!lock.owns_lock() && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock.try_lock();
  }
  return lock;
}

}  // namespace

bool finishes_within(double seconds, std::function<void()> work) noexcept try {
  auto finished = std::make_shared<std::promise<void>>();
  const std::future<void> future = finished->get_future();
  std::thread thread([finished, work = std::move(work)] {
    work();
    finished->set_value();
  });
  if (future.wait_for(Seconds(seconds)) == std::future_status::ready) {
    thread.join();
    return true;
  }
  thread.detach();
  return false;
} catch (const std::exception&) {  // no thread to be had
  return false;
}

NcclHandle::NcclHandle(const ncclUniqueId& id, const Place& place, double timeout_s, double abort_s)
    : place_(place), timeout_s_(timeout_s), abort_s_(abort_s) {
  constexpr const char* kCall = "ncclCommInitRankConfig";
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  try {
    const ncclResult_t result = ncclCommInitRankConfig(&comm_, place.size, id, place.rank, &config);
    check_nccl(result, kCall, place.rank, comm_);
    await(kCall);
  } catch (...) {
    abort();
    throw;
  }
}

NcclHandle::~NcclHandle() {
  abort();
}

ncclComm_t NcclHandle::checked() const {
  if (comm_ != nullptr) return comm_;
  throw CommError(fmt::format("rank {}", place_.rank), "the NCCL communicator was aborted",
                  "start again from the last checkpoint");
}

// To be called with the mutex held.
ncclResult_t NcclHandle::state(const char* call) const {
  ncclResult_t state = ncclSuccess;
  check_nccl(ncclCommGetAsyncError(checked(), &state), "ncclCommGetAsyncError", place_.rank, comm_);
  check_nccl(state, call, place_.rank, comm_);
  return state;
}

void NcclHandle::await(const char* call) {
  const auto deadline = Clock::now() + Seconds(timeout_s_);
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (state(call) == ncclSuccess) return;
    }
    if (Clock::now() > deadline) {
      throw CommError(
          fmt::format("rank {}: {}", place_.rank, call),
          fmt::format("not all ranks have come within {} s: a peer hangs or is lost", timeout_s_),
          "start again from the last checkpoint, or raise comm.timeout_s");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void NcclHandle::run(const char* call, const std::function<ncclResult_t(ncclComm_t)>& start) {
  {
    std::lock_guard lock(mutex_);
    check_nccl(start(checked()), call, place_.rank, comm_);
  }
  await(call);
}

void NcclHandle::poll() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock() && comm_ != nullptr) state("a collective in the background");
}

void* NcclHandle::register_memory(void* data, size_t bytes, ncclResult_t& refusal) {
  void* registration = nullptr;
  run("ncclCommRegister", [&](ncclComm_t comm) {
    refusal = ncclCommRegister(comm, data, bytes, &registration);
    return ncclSuccess;
  });
  return refusal == ncclSuccess ? registration : nullptr;
}

void NcclHandle::deregister(void* registration) noexcept {
  const std::unique_lock lock = lock_within(mutex_, abort_s_);
  if (!lock.owns_lock() || comm_ == nullptr) return;
  const ncclResult_t result = ncclCommDeregister(comm_, registration);
  if (result == ncclSuccess || result == ncclInProgress) return;
  spdlog::warn("rank {}: ncclCommDeregister: {}", place_.rank, ncclGetErrorString(result));
}

bool NcclHandle::abort() noexcept {
  const std::unique_lock lock = lock_within(mutex_, abort_s_);
  if (!lock.owns_lock()) return false;  // the training thread hangs in a call of NCCL
  if (comm_ == nullptr) return true;
  return finishes_within(
      abort_s_, [comm = std::exchange(comm_, nullptr), rank = place_.rank, device = place_.device] {
        cudaSetDevice(device);
        const ncclResult_t result = ncclCommAbort(comm);
        if (result == ncclSuccess || result == ncclInProgress) return;
        spdlog::warn("rank {}: ncclCommAbort: {}", rank, ncclGetErrorString(result));
      });
}

}  // namespace resnext
