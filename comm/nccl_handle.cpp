// SPDX-License-Identifier: BSD-3-Clause
#include "comm/nccl_handle.h"

#include <cuda_runtime_api.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>
#include <utility>

#include "comm/common/bounded_call.h"
#include "comm/common/error.h"
#include "comm/nccl_check.h"
#include "comm/watch/watch.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// NCCL has mostly given its work to the device by then; a sleep takes longer.
constexpr auto kSpin = std::chrono::microseconds(200);

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

NcclHandle::NcclHandle(const ncclUniqueId& id, const Place& place, double timeout_s, double abort_s)
    : place_(place), timeout_s_(timeout_s), abort_s_(abort_s) {
  constexpr const char* kCall = "ncclCommInitRankConfig";
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  try {
    const ncclResult_t result = ncclCommInitRankConfig(&comm_, place.size, id, place.rank, &config);
    check_nccl(result, kCall, comm_);
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
  watch::throw_if_failed();
  throw CommError("NCCL", "the communicator was aborted", "start again from the last checkpoint");
}

// To be called with the mutex held.
ncclResult_t NcclHandle::state(const char* call) const {
  ncclResult_t state = ncclSuccess;
  check_nccl(ncclCommGetAsyncError(checked(), &state), "ncclCommGetAsyncError", comm_);
  check_nccl(state, call, comm_);
  return state;
}

bool NcclHandle::ready(const char* call) {
  const std::lock_guard lock(mutex_);
  return state(call) == ncclSuccess;
}

void NcclHandle::await(const char* call) {
  const auto begin = Clock::now();
  do {
    if (ready(call)) return;
  } while (Clock::now() - begin < kSpin);
  const watch::CollectiveWait phase(0);
  const auto deadline = begin + Seconds(timeout_s_);
  while (!ready(call)) {
    watch::throw_if_failed();
    if (!watch::on_duty() && Clock::now() > deadline) {
      throw CommError(
          call,
          fmt::format("not all ranks have come within {} s: a peer hangs or is lost", timeout_s_),
          "start again from the last checkpoint, or raise comm.timeout_s");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void NcclHandle::run(const char* call, const std::function<ncclResult_t(ncclComm_t)>& start) {
  {
    std::lock_guard lock(mutex_);
    check_nccl(start(checked()), call, comm_);
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
  spdlog::warn("ncclCommDeregister: {}", ncclGetErrorString(result));
}

void NcclHandle::close() {
  run("ncclCommFinalize", [](ncclComm_t comm) { return ncclCommFinalize(comm); });
  end("ncclCommDestroy", ncclCommDestroy);
}

bool NcclHandle::abort() noexcept {
  return end("ncclCommAbort", ncclCommAbort);
}

bool NcclHandle::end(const char* call, ncclResult_t (*how)(ncclComm_t)) noexcept {
  const std::unique_lock lock = lock_within(mutex_, abort_s_);
  if (!lock.owns_lock()) return false;  // the training thread hangs in a call of NCCL
  if (comm_ == nullptr) return true;
  return finishes_within(abort_s_,
                         [call, how, comm = std::exchange(comm_, nullptr), device = place_.device] {
                           cudaSetDevice(device);
                           const ncclResult_t result = how(comm);
                           if (result == ncclSuccess || result == ncclInProgress) return;
                           spdlog::warn("{}: {}", call, ncclGetErrorString(result));
                         });
}

}  // namespace resnext
