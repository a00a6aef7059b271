// Owner of an NCCL communicator: starts it without blocking, and ends it within a deadline.
//
// Threads: run(), register_memory() and deregister() on one thread at a time; poll() and abort() on
// any thread beside it.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nccl.h>

#include <cstddef>
#include <functional>
#include <mutex>

namespace resnext {

class NcclHandle {
 public:
  struct Place {
    int rank = 0;
    int size = 1;
    int device = 0;
  };
  // Collective: all ranks give the same `id`. Throws CommError when not all ranks have come within
  // `timeout_s`. `abort_s`: time that abort() may take.
  NcclHandle(const ncclUniqueId& id, const Place& place, double timeout_s, double abort_s);
  // Local: abort(), where close() has not come first.
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  // Calls `start` and returns once NCCL has given its work to the device. Throws CommError when
  // `start` or the communicator has failed, or when that takes longer than `timeout_s`.
  void run(const char* call, const std::function<ncclResult_t(ncclComm_t)>& start);
  // Throws CommError when the communicator has failed in the background. Never waits.
  void poll();
  // ncclCommRegister: memory that many collectives use. Null when NCCL refuses it, with its reason
  // in `refusal`, or needs no registration. Throws CommError as run() does.
  void* register_memory(void* data, size_t bytes, ncclResult_t& refusal);
  // Ends a registration; an aborted communicator has none left. No collective may use the memory.
  void deregister(void* registration) noexcept;
  // The normal end: waits for what was started, then frees the communicator; run() throws from then
  // on. Peers may still be in the last collective: a barrier in host memory before makes sure that
  // they are not. Throws CommError as run() does.
  void close();
  // Ends the communicator and what it has on the device; run() throws from then on. Local. False
  // when that has not ended within `abort_s`.
  bool abort() noexcept;

 private:
  bool end(const char* call, ncclResult_t (*how)(ncclComm_t)) noexcept;
  ncclComm_t checked() const;
  ncclResult_t state(const char* call) const;
  bool ready(const char* call);
  void await(const char* call);

  const Place place_;
  const double timeout_s_;
  const double abort_s_;
  std::mutex mutex_;  // held during NCCL's calls, so that abort() never frees beneath one
  ncclComm_t comm_ = nullptr;
};

}  // namespace resnext
