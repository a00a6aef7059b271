// A group of ranks that call the same collectives in the same order.
//
// One file per backend (single_process_communicator, mpi_communicator, nccl_communicator); callers
// never know which. A world of one is a normal world: every collective is then the identity.
// Buffers are contiguous, stay the caller's, and must live until the collective has completed.
// All functions but rank(), size(), name(), watch_current_stream(), completed_at() and
// register_buffer() are COLLECTIVE: every rank calls them in the same order with the same count,
// type and operation. One thread calls at a time. A lost or hung peer gives CommError (exit 76).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace resnext {

enum class DataType { kUint8, kInt64, kBfloat16, kFloat32, kFloat64 };
enum class ReduceOp { kSum, kMean, kMax, kMin };

// Bytes of one element.
constexpr size_t size_of(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return 1;
    case DataType::kBfloat16:
      return 2;
    case DataType::kFloat32:
      return 4;
    case DataType::kInt64:
    case DataType::kFloat64:
      return 8;
  }
  return 0;
}

// A view of `count` elements in host memory, or in the memory of this rank's GPU, which the "nccl"
// backend alone takes. Every backend takes host memory.
struct Buffer {
  void* data = nullptr;
  size_t count = 0;
  DataType type = DataType::kFloat32;
  bool device = false;  // the same on all ranks

  size_t bytes() const { return count * size_of(type); }
};

// Identifies a started collective; increases by one with each.
using Ticket = uint64_t;

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Name of the backend, for logs: "single", "mpi", "nccl".
  virtual std::string_view name() const = 0;

  // Starts an in-place reduction and returns at once; kMean divides by size(). Collectives on one
  // kind of memory are carried out in the order in which they were started.
  virtual Ticket start_all_reduce(Buffer buffer, ReduceOp op) = 0;
  // Returns when the collective and all started before it have completed, so that what follows
  // (on the host, or on the current stream of a GPU backend) sees the result.
  virtual void wait(Ticket ticket) = 0;
  // Rank `root`'s buffer into everybody's.
  virtual void broadcast(Buffer buffer, int root) = 0;
  // Rank r's `mine` into everybody's `all` at position r; all.count == mine.count * size().
  virtual void all_gather(Buffer mine, Buffer all) = 0;

  // This rank's of the groups of `ranks` neighbours, which divide size(). Its collectives have an
  // order of their own: they may be called while others are under way here. It must end before this
  // one.
  virtual std::unique_ptr<Communicator> split(int ranks) = 0;

  // Local. What the current stream has to do now must complete in time like a collective: for
  // collectives that were not started here, in a CUDA graph that is replayed.
  virtual void watch_current_stream(std::string_view what) {}

  // Local. When a collective that was waited for had completed, of the last thousand; none where
  // the backend does not know: on a GPU, and where nothing travels.
  virtual std::optional<std::chrono::steady_clock::time_point> completed_at(Ticket ticket) const {
    return std::nullopt;
  }

  // Local. Lets the backend prepare memory that takes part in many collectives; it works without,
  // only slower. The preparation ends with the returned handle, which must end before the memory
  // and before the communicator; null where there is nothing to prepare.
  virtual std::shared_ptr<void> register_buffer(Buffer buffer) { return nullptr; }

  // Collective, at a normal end: nothing may be started afterwards. Waits until all ranks have
  // come, so that none frees what another still reads. Without it the destructor gives up what is
  // left.
  virtual void close() {}

  void all_reduce(Buffer buffer, ReduceOp op) { wait(start_all_reduce(buffer, op)); }
  // Returns when every rank has called it.
  void barrier() {
    uint8_t token = 0;
    all_reduce({&token, 1, DataType::kUint8}, ReduceOp::kMax);
  }

 protected:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
};

}  // namespace resnext
