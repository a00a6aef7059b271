// Communicator over NCCL, one GPU a rank; buffers in host memory go through MPI.
//
// Device buffers (Buffer::device): all collectives run on one communication stream of their own.
// start_all_reduce() makes that stream wait for the caller's current stream, wait() makes the
// current stream wait for the result: the host waits for neither, and reads a result only after it
// has synchronised with its stream. May be captured into a CUDA graph: start and wait within one
// capture. kMean is NCCL's average, for floating point only.
//
// register_buffer() registers a device buffer with NCCL (2.19 and later) for transfers without
// copies in between. Where NCCL refuses, that is logged once and nothing else changes. The handle's
// end waits on the host for what the communication and the current stream have to do, so it must
// not come during a capture.
//
// Host buffers (bucket order, loss and validation sums, barrier): as MpiCommunicator, which waits
// on the host.
//
// A collective on the device that does not complete within `timeout_s`, and an error that NCCL
// reports in the background, abort the communicator; the next start or wait throws CommError.
// A CUDA error is an Error (70).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nccl.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/cuda_handles.h"
#include "comm/nccl_handle.h"
#include "comm/nccl_watchdog.h"

namespace resnext {

struct NcclOptions {
  int device = 0;          // index of this rank's GPU
  double timeout_s = 600;  // of start and of each collective
  double abort_s = 10;     // that the abort of a failed communicator may take
  // The stream that the caller's thread gives its work to; the legacy default stream if empty.
  std::function<cudaStream_t()> current_stream;
  // Ends the process when a failure cannot be thrown, because the abort hangs or the training
  // thread does not come back from the device. Called on the watchdog's thread.
  std::function<void(const Error&)> on_stuck;
};

class NcclCommunicator final : public Communicator {
 public:
  // Collective over MPI_COMM_WORLD. Throws ConfigError when another major version of NCCL was
  // loaded, CommError when not all ranks come in time.
  explicit NcclCommunicator(const NcclOptions& options);
  // Local: ends the watchdog, then aborts what is left, within `abort_s`.
  ~NcclCommunicator() override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  std::string_view name() const override { return "nccl"; }
  Ticket start_all_reduce(Buffer buffer, ReduceOp op) override;
  void wait(Ticket ticket) override;
  void broadcast(Buffer buffer, int root) override;
  void all_gather(Buffer mine, Buffer all) override;
  std::unique_ptr<Communicator> split(int ranks) override;
  void watch_current_stream(std::string_view what) override;
  std::shared_ptr<void> register_buffer(Buffer buffer) override;
  // Waits for the communication stream, then for all ranks on the host; throws CommError when one
  // does not come.
  void close() override;

 private:
  using Call = std::function<ncclResult_t(ncclComm_t, cudaStream_t)>;
  // Of the ranks of `host`.
  NcclCommunicator(const NcclOptions& options, std::unique_ptr<Communicator> host);
  ncclUniqueId agree_on_id();
  Ticket start(const char* function, std::string what, const Call& call);
  CudaEvent& captured(Ticket ticket);
  void wait_on_host(Ticket ticket);
  void log_refusal(ncclResult_t refusal);
  void deregister(void* registration) noexcept;

  const NcclOptions options_;
  const std::unique_ptr<Communicator> host_;
  CudaStream stream_;                // all device collectives
  CudaEvent ready_;                  // the current stream, when a collective was started
  std::vector<CudaEvent> captured_;  // one for each collective of a graph, used again by the next
  std::vector<Ticket> captured_tickets_;  // of the graph that is being captured, in order
  NcclHandle comm_;
  NcclWatchdog watchdog_;  // stops before comm_ ends
  Ticket tickets_ = 0;
  bool refusal_logged_ = false;
  std::map<Ticket, Ticket> host_tickets_;  // ours -> host_'s, not yet waited for
};

}  // namespace resnext
