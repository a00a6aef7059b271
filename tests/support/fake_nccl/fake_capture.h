// A capture of streams into a graph, as strict as CUDA's: what is captured does not run, streams
// join by waiting for an event of the capture and must be joined again at its end, and an event is
// either of the capture or of the world outside.
//
// One capture at a time. Thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace resnext::test {

struct EventState;

class Capture {
 public:
  using Work = std::function<void()>;

  // The stream that is asked for next begins a capture.
  void arm();
  // What cudaStreamEndCapture says.
  cudaError_t end();
  // Gives all that was captured to the streams that it was captured from.
  void replay();
  void reset();

  bool is_capturing(cudaStream_t stream);
  // True when `work` has become a part of the capture and is not to be carried out.
  bool take(cudaStream_t stream, const Work& work);
  // True when the event was recorded in the capture; else it belongs to the world outside.
  bool record(cudaEvent_t event, cudaStream_t stream);
  // True when the wait is a part of the capture. `code`: why it is not allowed.
  bool wait(cudaStream_t stream, cudaEvent_t event, cudaError_t& code);
  // Whether the host may ask for the event: not for one that was recorded in a capture.
  bool is_captured(cudaEvent_t event);
  void forget(cudaEvent_t event);

 private:
  // Of each stream, how many of its items come before.
  using Past = std::map<cudaStream_t, uint64_t>;
  struct Item {
    cudaStream_t stream;
    Work work;
  };
  struct Point {
    Past past;
    std::shared_ptr<EventState> reached;
  };
  void add(cudaStream_t stream, Work work);

  std::mutex mutex_;
  bool armed_ = false, active_ = false;
  cudaStream_t origin_ = nullptr;
  std::map<cudaStream_t, Past> streams_;  // of the capture
  std::map<cudaEvent_t, Point> events_;   // last recorded in a capture
  std::vector<Item> items_;
};

Capture& capture();

}  // namespace resnext::test
