// CUDA's half of the fake: devices, streams, events.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_runtime_api.h>

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/support/fake_nccl/fake_capture.h"
#include "tests/support/fake_nccl/fake_state.h"
#include "tests/support/fake_nccl/fake_stream.h"

namespace resnext::test {
namespace {

struct Queue {
  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return closed || !work.empty(); });
      if (work.empty()) return;
      const std::function<void()> next = std::move(work.front());
      lock.unlock();
      next();
      lock.lock();
      work.pop_front();  // only now: an empty queue is an idle one
      changed.notify_all();
    }
  }
  void push(std::function<void()> item) {
    std::lock_guard lock(mutex);
    work.push_back(std::move(item));
    changed.notify_all();
  }
  void close() {
    std::lock_guard lock(mutex);
    closed = true;
    changed.notify_all();
  }
  void wait_until_idle() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return work.empty(); });
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> work;
  bool closed = false;
};

}  // namespace
}  // namespace resnext::test

// The thread is left to itself at the end, as the device goes on when a stream is destroyed.
struct CUstream_st {
  CUstream_st() {
    std::thread([q = queue] { q->run(); }).detach();
  }
  ~CUstream_st() { queue->close(); }

  std::shared_ptr<resnext::test::Queue> queue = std::make_shared<resnext::test::Queue>();
};

struct CUevent_st {
  std::shared_ptr<resnext::test::EventState> state = std::make_shared<resnext::test::EventState>();
};

namespace resnext::test {
namespace {

Queue& queue_of(cudaStream_t stream) {
  static auto* legacy = new CUstream_st;
  return *(stream ? stream : legacy)->queue;
}

// Runs f unless the call is to fail.
template <class F>
cudaError_t call(const char* function, F f) {
  if (const int code = fake_state().enter(function)) return static_cast<cudaError_t>(code);
  f();
  return cudaSuccess;
}

}  // namespace

void carry_out(cudaStream_t stream, std::function<void()> work) {
  queue_of(stream).push(std::move(work));
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  if (!capture().take(stream, work)) carry_out(stream, std::move(work));
}

}  // namespace resnext::test

using resnext::test::call;
using resnext::test::capture;
using resnext::test::fake_state;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  return call("cudaGetDeviceCount", [&] { *count = fake_state().visible; });
}

cudaError_t cudaSetDevice(int) {
  return call("cudaSetDevice", [] {});
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  return call("cudaDeviceGetPCIBusId", [&] {
    std::snprintf(id, length, "0000:%02X:00.0", fake_state().first_bus.load() + device);
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* lowest, int* highest) {
  return call("cudaDeviceGetStreamPriorityRange", [&] {
    *lowest = 0;
    *highest = -5;
  });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  return call("cudaStreamCreateWithPriority", [&] { *stream = new CUstream_st; });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call("cudaStreamDestroy", [&] { delete stream; });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (capture().is_capturing(stream)) return cudaErrorStreamCaptureUnsupported;
  return call("cudaStreamSynchronize", [&] { resnext::test::queue_of(stream).wait_until_idle(); });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return call("cudaLaunchHostFunc",
              [&] { resnext::test::enqueue(stream, [=] { function(data); }); });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return call("cudaStreamIsCapturing", [&] {
    const bool active = capture().is_capturing(stream);
    *status = active ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return call("cudaThreadExchangeStreamCaptureMode", [&] { *mode = cudaStreamCaptureModeGlobal; });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return call("cudaEventCreateWithFlags", [&] { *event = new CUevent_st; });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call("cudaEventDestroy", [&] {
    capture().forget(event);
    delete event;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call("cudaEventRecord", [&] {
    if (capture().record(event, stream)) return;
    std::lock_guard lock(event->state->mutex);
    const uint64_t record = ++event->state->recorded;
    resnext::test::enqueue(stream, [state = event->state, record] { state->reach(record); });
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  cudaError_t misuse = cudaSuccess;
  const cudaError_t code = call("cudaStreamWaitEvent", [&] {
    if (capture().wait(stream, event, misuse)) return;
    std::lock_guard lock(event->state->mutex);
    resnext::test::enqueue(stream, [state = event->state, record = event->state->recorded] {
      state->wait_for(record);
    });
  });
  return code != cudaSuccess ? code : misuse;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (capture().is_captured(event)) return cudaErrorCapturedEvent;
  bool completed = false;
  const cudaError_t code = call("cudaEventQuery", [&] {
    std::lock_guard lock(event->state->mutex);
    completed = event->state->reached >= event->state->recorded;
  });
  return code != cudaSuccess || completed ? code : cudaErrorNotReady;
}

const char* cudaGetErrorName(cudaError_t code) {
  return code == cudaErrorNoDevice ? "cudaErrorNoDevice" : "cudaErrorOfTheFake";
}

const char* cudaGetErrorString(cudaError_t code) {
  return code == cudaErrorNoDevice ? "no CUDA-capable device is detected" : "an error of the fake";
}

}  // extern "C"
