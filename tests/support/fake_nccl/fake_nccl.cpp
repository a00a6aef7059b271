// NCCL's half of the fake: communicators and collectives over MPI.
//
// All collectives stand on one primitive, exchange(): everyone sends its bytes to everyone. It uses
// point-to-point messages with a tag of its own each time, so that a collective that was given up
// disturbs no later one.
// SPDX-License-Identifier: BSD-3-Clause
#include <mpi.h>
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/fake_nccl/fake_state.h"
#include "tests/support/fake_nccl/fake_stream.h"

namespace resnext::test {
namespace {

using Bytes = std::vector<char>;

// A communicator's: no other has its number, and its ranks follow `first` in the world.
struct Id {
  int number = 0;
  int first = 0;
};

// What a communicator's threads share; outlives the communicator.
struct Group {
  int tag() { return id.number * 4096 + sequence++ % 4096; }

  Id id;
  int rank = 0;
  int size = 1;
  int sequence = 0;  // of exchanges, the same on all ranks
  std::atomic<bool> aborted{false};
  std::atomic<bool> finalized{false};
  std::atomic<bool> started{false};  // all ranks have come
  std::atomic<int> polls{0};         // questions that are still answered with ncclInProgress
};

// An exchange under way. One that is given up is kept for ever: MPI may still write into it.
struct Messages {
  Bytes mine;
  Bytes all;
  std::vector<MPI_Request> requests;
};

void keep(std::unique_ptr<Messages> messages) {
  static std::mutex mutex;
  static auto* kept = new std::vector<std::unique_ptr<Messages>>;
  std::lock_guard lock(mutex);
  kept->push_back(std::move(messages));
}

// Rank r's `mine` at position r of the result, on all ranks. Empty when aborted before the end.
Bytes exchange(const Group& group, int tag, Bytes mine) {
  auto m = std::make_unique<Messages>();
  m->mine = std::move(mine);
  m->all.resize(m->mine.size() * group.size);
  const int bytes = static_cast<int>(m->mine.size());
  for (int r = 0; r < group.size; ++r) {
    m->requests.resize(m->requests.size() + 2);
    MPI_Request* pair = &m->requests.back() - 1;
    const int peer = group.id.first + r;
    MPI_Irecv(m->all.data() + m->mine.size() * r, bytes, MPI_BYTE, peer, tag, MPI_COMM_WORLD, pair);
    MPI_Isend(m->mine.data(), bytes, MPI_BYTE, peer, tag, MPI_COMM_WORLD, pair + 1);
  }
  int done = 0;
  while (!done && !group.aborted) {
    MPI_Testall(static_cast<int>(m->requests.size()), m->requests.data(), &done,
                MPI_STATUSES_IGNORE);
    if (!done) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  if (done) return std::move(m->all);
  keep(std::move(m));
  return {};
}

size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return 1;
    case ncclBfloat16:
      return 2;
    case ncclFloat32:
      return 4;
    default:
      return 8;
  }
}

template <class T>
T combine(ncclRedOp_t op, T a, T b) {
  if (op == ncclMax) return std::max(a, b);
  if (op == ncclMin) return std::min(a, b);
  return static_cast<T>(a + b);
}

template <class T>
void reduce(const Bytes& all, int size, ncclRedOp_t op, T* out, size_t count) {
  const T* in = reinterpret_cast<const T*>(all.data());
  for (size_t i = 0; i < count; ++i) {
    T value = in[i];
    for (int r = 1; r < size; ++r) value = combine(op, value, in[r * count + i]);
    out[i] = op == ncclAvg ? static_cast<T>(value / static_cast<T>(size)) : value;
  }
}

// To nearest even. bfloat16 is the upper half of a float32.
uint16_t rounded(uint32_t wide) {
  const uint32_t rest = wide & 0xffff;
  uint32_t half = wide >> 16;
  if (rest > 0x8000 || (rest == 0x8000 && half % 2 == 1)) ++half;
  return static_cast<uint16_t>(half);
}

void reduce_bfloat16(const Bytes& all, int size, ncclRedOp_t op, uint16_t* out, size_t count) {
  std::vector<uint32_t> wide(all.size() / 2), result(count);
  for (size_t i = 0; i < wide.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, all.data() + 2 * i, 2);
    wide[i] = static_cast<uint32_t>(half) << 16;
  }
  const Bytes bytes(reinterpret_cast<char*>(wide.data()),
                    reinterpret_cast<char*>(wide.data() + wide.size()));
  reduce(bytes, size, op, reinterpret_cast<float*>(result.data()), count);
  for (size_t i = 0; i < count; ++i) out[i] = rounded(result[i]);
}

void reduce_any(const Bytes& all, int size, ncclDataType_t type, ncclRedOp_t op, void* out,
                size_t count) {
  switch (type) {
    case ncclUint8:
      return reduce(all, size, op, static_cast<uint8_t*>(out), count);
    case ncclInt64:
      return reduce(all, size, op, static_cast<int64_t*>(out), count);
    case ncclFloat32:
      return reduce(all, size, op, static_cast<float*>(out), count);
    case ncclBfloat16:
      return reduce_bfloat16(all, size, op, static_cast<uint16_t*>(out), count);
    default:
      return reduce(all, size, op, static_cast<double*>(out), count);
  }
}

}  // namespace
}  // namespace resnext::test

using namespace resnext::test;

struct ncclComm {
  std::shared_ptr<Group> group = std::make_shared<Group>();
  std::set<const void*> registered;  // addresses, which are the handles too
};

namespace {

// The code that this call is to fail with.
ncclResult_t enter(const char* function) {
  return static_cast<ncclResult_t>(fake_state().enter(function));
}

// Gives the stream an exchange of `bytes` at `in`; `use` gets the result.
template <class F>
void start(ncclComm_t comm, cudaStream_t stream, const void* in, size_t bytes, F use) {
  comm->group->polls = fake_state().slow_polls.load();
  enqueue(stream, [group = comm->group, tag = comm->group->tag(), in, bytes, use] {
    if (bytes == 0) return;
    const char* from = static_cast<const char*>(in);
    const Bytes all = exchange(*group, tag, Bytes(from, from + bytes));
    if (!all.empty()) use(all, group->size);
  });
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  const int told = fake_state().version;
  *version = told ? told : NCCL_VERSION_CODE;
  return enter("ncclGetVersion");
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> next{1};
  Id drawn;
  int size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &drawn.first);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  drawn.number = next++ * size + drawn.first;
  std::memcpy(id->internal, &drawn, sizeof(drawn));
  return enter("ncclGetUniqueId");
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (const ncclResult_t code = enter("ncclCommInitRankConfig")) return code;
  if (config->blocking != 0) return ncclInvalidUsage;
  *comm = new ncclComm;
  Group& group = *(*comm)->group;
  std::memcpy(&group.id, id.internal, sizeof(group.id));
  group.rank = rank;
  group.size = size;
  std::thread([shared = (*comm)->group, tag = group.tag()] {
    if (!exchange(*shared, tag, Bytes(1)).empty()) shared->started = true;
  }).detach();
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  if (const ncclResult_t code = enter("ncclCommGetAsyncError")) return code;
  *state = static_cast<ncclResult_t>(fake_state().async_error.load());
  if (*state != ncclSuccess) return ncclSuccess;
  if (!comm->group->started || comm->group->polls-- > 0) *state = ncclInProgress;
  return ncclSuccess;
}

// Waits for what has been started.
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (const ncclResult_t code = enter("ncclCommFinalize")) return code;
  comm->group->polls = fake_state().slow_polls.load();
  comm->group->finalized = true;
  return fake_state().slow_polls ? ncclInProgress : ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (const ncclResult_t code = enter("ncclCommDestroy")) return code;
  if (!comm->group->finalized) return ncclInvalidUsage;
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const ncclResult_t code = enter("ncclCommAbort");
  fake_state().hang_while(fake_state().hang_abort);
  comm->group->aborted = true;
  delete comm;
  return code;
}

ncclResult_t ncclCommRegister(ncclComm_t comm, void* data, size_t bytes, void** handle) {
  if (const ncclResult_t code = enter("ncclCommRegister")) return code;
  if (data == nullptr || bytes == 0) return ncclInvalidArgument;
  if (!comm->registered.insert(data).second) return ncclInvalidUsage;
  *handle = data;
  ++fake_state().registrations;
  return ncclSuccess;
}

ncclResult_t ncclCommDeregister(ncclComm_t comm, void* handle) {
  if (const ncclResult_t code = enter("ncclCommDeregister")) return code;
  if (comm->registered.erase(handle) == 0) return ncclInvalidArgument;
  --fake_state().registrations;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  if (const ncclResult_t code = enter("ncclAllReduce")) return code;
  fake_state().hang_while(fake_state().hang_launch);
  start(comm, stream, in, count * bytes_of(type),
        [=](const Bytes& all, int size) { reduce_any(all, size, type, op, out, count); });
  return fake_state().slow_polls ? ncclInProgress : ncclSuccess;
}

ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  if (const ncclResult_t code = enter("ncclBroadcast")) return code;
  const size_t bytes = count * bytes_of(type);
  start(comm, stream, in, bytes,
        [=](const Bytes& all, int) { std::memcpy(out, all.data() + root * bytes, bytes); });
  return ncclSuccess;
}

ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  if (const ncclResult_t code = enter("ncclAllGather")) return code;
  start(comm, stream, in, count * bytes_of(type),
        [=](const Bytes& all, int) { std::memcpy(out, all.data(), all.size()); });
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t) {
  return "the fake was told to fail";
}

}  // extern "C"
