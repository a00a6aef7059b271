// SPDX-License-Identifier: BSD-3-Clause
#include "comm/nccl_communicator.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "comm/common/error.h"
#include "comm/cuda_check.h"
#include "comm/mpi_communicator.h"
#include "comm/nccl_check.h"

namespace resnext {
namespace {

ncclDataType_t nccl_type(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return ncclUint8;
    case DataType::kInt64:
      return ncclInt64;
    case DataType::kBfloat16:
      return ncclBfloat16;
    case DataType::kFloat32:
      return ncclFloat32;
    case DataType::kFloat64:
      return ncclFloat64;
  }
  return ncclNumTypes;  // NCCL refuses it
}

ncclRedOp_t nccl_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return ncclSum;
    case ReduceOp::kMean:
      return ncclAvg;
    case ReduceOp::kMax:
      return ncclMax;
    case ReduceOp::kMin:
      return ncclMin;
  }
  return ncclNumOps;  // NCCL refuses it
}

bool is_integer(DataType type) {
  return type == DataType::kUint8 || type == DataType::kInt64;
}

// Options with nothing left out, on the device that all that follows belongs to.
NcclOptions prepared(NcclOptions options) {
  check_nccl_version();
  check_cuda(cudaSetDevice(options.device), "cudaSetDevice");
  if (!options.current_stream) options.current_stream = [] { return cudaStream_t{nullptr}; };
  if (!options.on_stuck) options.on_stuck = [](const Error&) {};
  return options;
}

}  // namespace

NcclCommunicator::NcclCommunicator(const NcclOptions& options)
    : NcclCommunicator(options, std::make_unique<MpiCommunicator>(options.timeout_s)) {}

NcclCommunicator::NcclCommunicator(const NcclOptions& options, std::unique_ptr<Communicator> host)
    : options_(prepared(options)),
      host_(std::move(host)),
      captured_(1),
      comm_(agree_on_id(), {host_->rank(), host_->size(), options_.device}, options_.timeout_s,
            options_.abort_s),
      watchdog_(comm_, {host_->rank(), options_.device, options_.timeout_s, options_.abort_s,
                        options_.on_stuck}) {}

NcclCommunicator::~NcclCommunicator() = default;

ncclUniqueId NcclCommunicator::agree_on_id() {
  ncclUniqueId id{};
  if (host_->rank() == 0) check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId", nullptr);
  host_->broadcast({&id, sizeof(id), DataType::kUint8}, 0);
  return id;
}

// Gives a collective to the communication stream, behind all that the current stream has to do.
Ticket NcclCommunicator::start(const char* function, std::string what, const Call& call) {
  watchdog_.throw_if_failed();
  const cudaStream_t current = options_.current_stream();
  const bool capturing = is_capturing(current);
  ready_.record(current);
  ready_.hold_up(stream_.get());
  comm_.run(function, [&](ncclComm_t comm) { return call(comm, stream_.get()); });
  const Ticket ticket = ++tickets_;
  if (capturing) {  // it has not run: there is nothing to watch
    captured(ticket).record(stream_.get());
  } else {
    captured_tickets_.clear();
    auto done = std::make_shared<CudaEvent>();
    done->record(stream_.get());
    watchdog_.add(ticket, std::move(what), std::move(done));
  }
  return ticket;
}

// The event of a collective that is being captured.
CudaEvent& NcclCommunicator::captured(Ticket ticket) {
  captured_tickets_.push_back(ticket);
  if (captured_.size() < captured_tickets_.size()) captured_.emplace_back();
  return captured_[captured_tickets_.size() - 1];
}

void NcclCommunicator::wait_on_host(Ticket ticket) {
  const auto end = host_tickets_.upper_bound(ticket);
  if (end == host_tickets_.begin()) return;
  host_->wait(std::prev(end)->second);
  host_tickets_.erase(host_tickets_.begin(), end);
}

void NcclCommunicator::wait(Ticket ticket) {
  wait_on_host(ticket);
  watchdog_.throw_if_failed();
  comm_.poll();
  const cudaStream_t current = options_.current_stream();
  if (is_capturing(current)) {
    const auto& tickets = captured_tickets_;
    const auto later = std::upper_bound(tickets.begin(), tickets.end(), ticket);
    if (later != tickets.begin()) captured_[later - tickets.begin() - 1].hold_up(current);
  } else if (const auto done = watchdog_.last_until(ticket)) {
    done->hold_up(current);
  }
}

Ticket NcclCommunicator::start_all_reduce(Buffer buffer, ReduceOp op) {
  if (!buffer.device) {
    const Ticket at_host = host_->start_all_reduce(buffer, op);
    host_tickets_.emplace(++tickets_, at_host);
    return tickets_;
  }
  if (op == ReduceOp::kMean && is_integer(buffer.type)) {
    throw CommError("all_reduce", "the mean of integers was asked for", "reduce their sum");
  }
  return start("ncclAllReduce", fmt::format("all_reduce of {} bytes", buffer.bytes()),
               [&](ncclComm_t comm, cudaStream_t stream) {
                 return ncclAllReduce(buffer.data, buffer.data, buffer.count,
                                      nccl_type(buffer.type), nccl_op(op), comm, stream);
               });
}

void NcclCommunicator::broadcast(Buffer buffer, int root) {
  if (!buffer.device) return host_->broadcast(buffer, root);
  wait(start("ncclBroadcast", fmt::format("broadcast of {} bytes", buffer.bytes()),
             [&](ncclComm_t comm, cudaStream_t stream) {
               return ncclBroadcast(buffer.data, buffer.data, buffer.count, nccl_type(buffer.type),
                                    root, comm, stream);
             }));
}

void NcclCommunicator::all_gather(Buffer mine, Buffer all) {
  if (mine.device != all.device) {
    throw Error(ExitCode::kInternal, "all_gather", "one buffer is in host, the other in GPU memory",
                "pass both in the same memory");
  }
  if (!mine.device) return host_->all_gather(mine, all);
  wait(start("ncclAllGather", fmt::format("all_gather of {} bytes", all.bytes()),
             [&](ncclComm_t comm, cudaStream_t stream) {
               return ncclAllGather(mine.data, all.data, mine.count, nccl_type(mine.type), comm,
                                    stream);
             }));
}

std::unique_ptr<Communicator> NcclCommunicator::split(int ranks) {
  return std::unique_ptr<Communicator>(new NcclCommunicator(options_, host_->split(ranks)));
}

void NcclCommunicator::watch_current_stream(std::string_view what) {
  watchdog_.throw_if_failed();
  auto done = std::make_shared<CudaEvent>();
  done->record(options_.current_stream());
  watchdog_.add(++tickets_, std::string(what), std::move(done));
}

std::shared_ptr<void> NcclCommunicator::register_buffer(Buffer buffer) {
  if (!buffer.device || buffer.count == 0) return nullptr;
  watchdog_.throw_if_failed();
  ncclResult_t refusal = ncclSuccess;
  void* registration = comm_.register_memory(buffer.data, buffer.bytes(), refusal);
  if (refusal != ncclSuccess) log_refusal(refusal);
  if (registration == nullptr) return nullptr;
  return {registration, [this](void* it) { deregister(it); }};
}

void NcclCommunicator::close() {
  check_cuda(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
  watchdog_.throw_if_failed();
  host_->barrier();
  comm_.close();
}

void NcclCommunicator::log_refusal(ncclResult_t refusal) {
  if (std::exchange(refusal_logged_, true)) return;
  spdlog::info("NCCL does not register buffers here ({}); it goes on without",
               ncclGetErrorString(refusal));
}

// The host has never waited for the collectives: they may still use the memory.
void NcclCommunicator::deregister(void* registration) noexcept try {
  check_cuda(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
  check_cuda(cudaStreamSynchronize(options_.current_stream()), "cudaStreamSynchronize");
  comm_.deregister(registration);
} catch (const std::exception& error) {  // the registration ends with the communicator
  spdlog::warn("{}", error.what());
}

}  // namespace resnext
