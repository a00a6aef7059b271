// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_nccl/fake_state.h"

#include "tests/support/fake_nccl/fake_capture.h"
#include "tests/support/fake_nccl/fake_nccl.h"

namespace resnext::test {

FakeState& fake_state() {
  static auto* state = new FakeState;  // outlives threads that hang on purpose
  return *state;
}

int FakeState::enter(const char* function) {
  std::lock_guard lock(mutex);
  ++calls[function];
  const auto fault = faults.find(function);
  if (fault == faults.end()) return 0;
  return fault->second.skip-- > 0 ? 0 : fault->second.code;
}

void FakeState::hang_while(const bool& flag) {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return !flag; });
}

namespace {

// Calls f(state) with the state locked, and wakes who hangs.
template <class F>
auto with_state(F f) {
  FakeState& state = fake_state();
  std::lock_guard lock(state.mutex);
  state.changed.notify_all();
  return f(state);
}

}  // namespace
}  // namespace resnext::test

using resnext::test::FakeState;
using resnext::test::with_state;

extern "C" {

void fake_reset() {
  resnext::test::capture().reset();
  with_state([](FakeState& s) {
    s.faults.clear();
    s.calls.clear();
    s.hang_abort = s.hang_launch = false;
    for (auto* number : {&s.slow_polls, &s.async_error, &s.version, &s.registrations}) *number = 0;
    s.visible = 8;
    s.first_bus = 0x10;
  });
}

void fake_fail(const char* name, int code, int skip) {
  with_state([&](FakeState& s) { s.faults[name] = {code, skip}; });
}

void fake_async_error(int result) {
  with_state([&](FakeState& s) { s.async_error = result; });
}

void fake_hang_abort() {
  with_state([](FakeState& s) { s.hang_abort = true; });
}

void fake_hang_launch() {
  with_state([](FakeState& s) { s.hang_launch = true; });
}

void fake_slow_launch(int polls) {
  with_state([&](FakeState& s) { s.slow_polls = polls; });
}

void fake_version(int code) {
  with_state([&](FakeState& s) { s.version = code; });
}

void fake_devices(int visible, int first_bus) {
  with_state([&](FakeState& s) {
    s.visible = visible;
    s.first_bus = first_bus;
  });
}

int fake_capture(int capturing) {
  if (!capturing) return resnext::test::capture().end();
  resnext::test::capture().arm();
  return cudaSuccess;
}

void fake_replay() {
  resnext::test::capture().replay();
}

int fake_registrations() {
  return with_state([](FakeState& s) { return s.registrations.load(); });
}

int fake_calls(const char* name) {
  return with_state([&](FakeState& s) { return s.calls[name]; });
}

}  // extern "C"
