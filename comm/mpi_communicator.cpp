// SPDX-License-Identifier: BSD-3-Clause
#include "comm/mpi_communicator.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <limits>
#include <memory>

#include "comm/common/error.h"
#include "comm/mpi_bfloat16.h"
#include "comm/mpi_check.h"
#include "comm/watch/watch.h"

namespace resnext {
namespace {

constexpr std::chrono::milliseconds kLook{20};  // between two looks whether a rank has failed

MPI_Datatype mpi_type(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return MPI_UINT8_T;
    case DataType::kInt64:
      return MPI_INT64_T;
    case DataType::kFloat32:
      return MPI_FLOAT;
    case DataType::kFloat64:
      return MPI_DOUBLE;
    case DataType::kBfloat16:
      return MPI_UINT16_T;
  }
  return MPI_DATATYPE_NULL;
}

MPI_Op mpi_op(DataType type, ReduceOp op, const Bfloat16Ops& bfloat16) {
  if (type == DataType::kBfloat16) return bfloat16.get(op);
  switch (op) {
    case ReduceOp::kSum:
    case ReduceOp::kMean:
      return MPI_SUM;
    case ReduceOp::kMax:
      return MPI_MAX;
    case ReduceOp::kMin:
      return MPI_MIN;
  }
  return MPI_OP_NULL;
}

// MPI 3 counts in int: calls f(first element's address, count) for parts that fit.
template <class F>
void in_parts(const Buffer& buffer, F f) {
  constexpr size_t kMax = std::numeric_limits<int>::max();
  auto* bytes = static_cast<std::byte*>(buffer.data);
  for (size_t begin = 0; begin < buffer.count; begin += kMax) {
    f(bytes + begin * size_of(buffer.type), static_cast<int>(std::min(kMax, buffer.count - begin)));
  }
}

template <class T>
void divide(void* data, size_t count, int by) {
  auto* values = static_cast<T*>(data);
  for (size_t i = 0; i < count; ++i) values[i] /= static_cast<T>(by);
}

void divide(const Buffer& buffer, int by) {
  switch (buffer.type) {
    case DataType::kFloat32:
      return divide<float>(buffer.data, buffer.count, by);
    case DataType::kFloat64:
      return divide<double>(buffer.data, buffer.count, by);
    case DataType::kBfloat16:
      return divide_bfloat16(buffer.data, buffer.count, by);
    default:
      throw CommError("all_reduce", "the mean of integers was asked for", "reduce their sum");
  }
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(call, text, "see the messages of the other ranks; a peer has probably died");
}

// What the training thread and the communication thread share, under `mutex`.
struct MpiCommunicator::Shared {
  struct Call {
    std::string what;
    std::function<void()> run;
  };

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stopping || !queue.empty(); });
      if (queue.empty()) break;
      Call& call = queue.front();
      lock.unlock();
      std::exception_ptr raised;
      try {
        call.run();
      } catch (...) {
        raised = std::current_exception();
      }
      lock.lock();
      queue.pop_front();
      ++completed;
      moments[completed % kMoments] = std::chrono::steady_clock::now();
      if (raised && !error) error = raised;
      changed.notify_all();
    }
    MPI_Comm_free(&comm);
  }

  // With the mutex held. Also when none will complete any more.
  bool done(Ticket ticket) const { return completed >= ticket || error; }

  MPI_Comm comm = MPI_COMM_NULL;  // used by the communication thread only
  const Bfloat16Ops bfloat16;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Call> queue;  // the front is being carried out
  Ticket started = 0;
  Ticket completed = 0;
  static constexpr size_t kMoments = 1024;
  std::array<std::chrono::steady_clock::time_point, kMoments> moments;  // of the last completions
  std::exception_ptr error;  // first one raised by a call
  bool stopping = false;
  std::thread thread;
};

namespace {

MPI_Comm duplicate_of_world() {
  const watch::CollectiveWait phase(0);
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  return comm;
}

}  // namespace

MpiCommunicator::MpiCommunicator(double timeout_s)
    : MpiCommunicator(duplicate_of_world(), timeout_s) {}

MpiCommunicator::MpiCommunicator(MPI_Comm comm, double timeout_s)
    : timeout_s_(timeout_s), shared_(std::make_shared<Shared>()) {
  shared_->comm = comm;
  MPI_Comm_set_errhandler(shared_->comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(shared_->comm, &rank_);
  MPI_Comm_size(shared_->comm, &size_);
  shared_->thread = std::thread([shared = shared_] { shared->run(); });
}

MpiCommunicator::~MpiCommunicator() {
  std::unique_lock lock(shared_->mutex);
  shared_->stopping = true;
  const bool idle = shared_->queue.empty();
  shared_->changed.notify_all();
  lock.unlock();
  if (idle) {
    shared_->thread.join();
  } else {
    shared_->thread.detach();
  }
}

Ticket MpiCommunicator::start(std::string what, std::function<void()> call) {
  std::lock_guard lock(shared_->mutex);
  shared_->queue.push_back({std::move(what), std::move(call)});
  shared_->changed.notify_all();
  return ++shared_->started;
}

void MpiCommunicator::wait(Ticket ticket) {
  std::unique_lock lock(shared_->mutex);
  if (!shared_->done(ticket)) wait_in_phase(ticket, lock);
  if (shared_->error) std::rethrow_exception(shared_->error);
  watch::throw_if_failed();
}

std::optional<std::chrono::steady_clock::time_point> MpiCommunicator::completed_at(
    Ticket ticket) const {
  const std::lock_guard lock(shared_->mutex);
  if (ticket > shared_->completed || ticket + Shared::kMoments <= shared_->completed) {
    return std::nullopt;
  }
  return shared_->moments[ticket % Shared::kMoments];
}

// Until it is done, or a rank has failed. Who is to blame for a long wait the watchdog decides;
// where there is none, the deadline does.
void MpiCommunicator::wait_in_phase(Ticket ticket, std::unique_lock<std::mutex>& lock) {
  const watch::CollectiveWait phase(ticket);
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s_);
  while (!shared_->changed.wait_for(lock, kLook, [&] { return shared_->done(ticket); })) {
    if (watch::failed()) return;
    if (watch::on_duty() || std::chrono::steady_clock::now() < deadline) continue;
    throw CommError(fmt::format("collective {}", shared_->completed + 1),
                    fmt::format("{} did not complete within {} s: a peer hangs or is lost",
                                shared_->queue.front().what, timeout_s_),
                    "start again from the last checkpoint, or raise comm.timeout_s");
  }
}

Ticket MpiCommunicator::start_all_reduce(Buffer buffer, ReduceOp op) {
  const MPI_Datatype type = mpi_type(buffer.type);
  const MPI_Op combine = mpi_op(buffer.type, op, shared_->bfloat16);
  const int divisor = op == ReduceOp::kMean ? size_ : 1;
  return start(fmt::format("all_reduce of {} bytes", buffer.bytes()), [comm = shared_->comm, buffer,
                                                                       type, combine, divisor] {
    in_parts(buffer, [&](void* data, int count) {
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, data, count, type, combine, comm), "MPI_Allreduce");
    });
    if (divisor > 1) divide(buffer, divisor);
  });
}

void MpiCommunicator::broadcast(Buffer buffer, int root) {
  wait(start(fmt::format("broadcast of {} bytes", buffer.bytes()),
             [comm = shared_->comm, buffer, root] {
               in_parts(buffer, [&](void* data, int count) {
                 check_mpi(MPI_Bcast(data, count, mpi_type(buffer.type), root, comm), "MPI_Bcast");
               });
             }));
}

void MpiCommunicator::all_gather(Buffer mine, Buffer all) {
  wait(start(fmt::format("all_gather of {} bytes", all.bytes()), [comm = shared_->comm, mine, all] {
    check_mpi(MPI_Allgather(mine.data, static_cast<int>(mine.count), mpi_type(mine.type), all.data,
                            static_cast<int>(mine.count), mpi_type(mine.type), comm),
              "MPI_Allgather");
  }));
}

std::unique_ptr<Communicator> MpiCommunicator::split(int ranks) {
  MPI_Comm group = MPI_COMM_NULL;
  wait(start(fmt::format("split into groups of {}", ranks), [&, comm = shared_->comm] {
    check_mpi(MPI_Comm_split(comm, rank_ / ranks, rank_, &group), "MPI_Comm_split");
  }));
  return std::unique_ptr<Communicator>(new MpiCommunicator(group, timeout_s_));
}

}  // namespace resnext
