// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_nccl/fake_capture.h"

#include <algorithm>
#include <utility>

#include "tests/support/fake_nccl/fake_stream.h"

namespace resnext::test {

void Capture::arm() {
  const std::lock_guard lock(mutex_);
  armed_ = true;
  items_.clear();
}

cudaError_t Capture::end() {
  const std::lock_guard lock(mutex_);
  armed_ = false;
  if (!std::exchange(active_, false)) return cudaSuccess;
  Past& joined = streams_[origin_];
  const bool all = std::all_of(streams_.begin(), streams_.end(), [&](const auto& of) {
    return joined[of.first] >= of.second.at(of.first);
  });
  streams_.clear();
  return all ? cudaSuccess : cudaErrorStreamCaptureUnjoined;
}

void Capture::replay() {
  const std::lock_guard lock(mutex_);
  for (const Item& item : items_) carry_out(item.stream, item.work);
}

void Capture::reset() {
  const std::lock_guard lock(mutex_);
  armed_ = active_ = false;
  streams_.clear();
  events_.clear();
  items_.clear();
}

bool Capture::is_capturing(cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(armed_, false)) {
    active_ = true;
    origin_ = stream;
    streams_[stream][stream] = 0;
  }
  return active_ && streams_.contains(stream);
}

void Capture::add(cudaStream_t stream, Work work) {
  ++streams_[stream][stream];
  items_.push_back({stream, std::move(work)});
}

bool Capture::take(cudaStream_t stream, const Work& work) {
  const std::lock_guard lock(mutex_);
  if (!active_ || !streams_.contains(stream)) return false;
  add(stream, work);
  return true;
}

bool Capture::record(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  events_.erase(event);
  if (!active_ || !streams_.contains(stream)) return false;
  const auto reached = std::make_shared<EventState>();
  add(stream, [reached] { reached->reach(1); });
  events_[event] = {streams_[stream], reached};
  return true;
}

bool Capture::wait(cudaStream_t stream, cudaEvent_t event, cudaError_t& code) {
  const std::lock_guard lock(mutex_);
  const auto point = events_.find(event);
  if (point == events_.end()) {
    const bool inside = active_ && streams_.contains(stream);
    code = inside ? cudaErrorStreamCaptureIsolation : cudaSuccess;
    return inside;
  }
  code = active_ ? cudaSuccess : cudaErrorCapturedEvent;
  if (!active_) return true;
  Past& past = streams_[stream];
  for (const auto& [other, items] : point->second.past) past[other] = std::max(past[other], items);
  add(stream, [reached = point->second.reached] { reached->wait_for(1); });
  return true;
}

bool Capture::is_captured(cudaEvent_t event) {
  const std::lock_guard lock(mutex_);
  return events_.contains(event);
}

void Capture::forget(cudaEvent_t event) {
  const std::lock_guard lock(mutex_);
  events_.erase(event);
}

Capture& capture() {
  static auto* state = new Capture;  // outlives threads that hang on purpose
  return *state;
}

}  // namespace resnext::test
