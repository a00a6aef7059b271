// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/watch.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "comm/watch/aftermath.h"
#include "comm/watch/watched.h"

namespace resnext::watch {

std::atomic<Watched*> current{nullptr};

namespace {

constexpr double kLongestLimitS = 1e9;

Slot* own_slot() {
  Watched* watched = current.load(std::memory_order_acquire);
  return watched == nullptr ? nullptr : &watched->board.mine();
}

// `since` is written first: who reads the new phase has its beginning too.
void change(Slot& slot, Phase phase, uint64_t collective) {
  const int64_t now = now_ns();
  const uint64_t number = slot.changed.load(std::memory_order_relaxed);
  Change& it = slot.changes[number % kChanges];
  it.at_ns.store(now, std::memory_order_relaxed);
  it.phase.store(phase, std::memory_order_relaxed);
  it.collective.store(collective, std::memory_order_relaxed);
  slot.changed.store(number + 1, std::memory_order_release);
  slot.since_ns.store(now, std::memory_order_relaxed);
  slot.collective.store(collective, std::memory_order_relaxed);
  slot.phase.store(phase, std::memory_order_release);
}

}  // namespace

void enter(Phase phase) {
  if (Slot* slot = own_slot()) change(*slot, phase, 0);
}

void beat() {
  if (Slot* slot = own_slot()) slot->since_ns.store(now_ns(), std::memory_order_relaxed);
}

void enter_step(int64_t step) {
  if (Slot* slot = own_slot()) slot->step.store(step, std::memory_order_relaxed);
}

void set_limit(double seconds) {
  const double limit = std::clamp(seconds, 0.0, kLongestLimitS);
  if (Slot* slot = own_slot()) slot->limit_ns = static_cast<int64_t>(limit * 1e9);
}

void set_flight_folder(const std::string& folder) {
  if (Watched* watched = current) watched->set_flight_folder(folder);
}

CollectiveWait::CollectiveWait(uint64_t number) : before_(Phase::kStart) {
  Slot* slot = own_slot();
  if (slot == nullptr) return;
  before_ = slot->phase;
  change(*slot, Phase::kCollective, number);
}

CollectiveWait::~CollectiveWait() {
  enter(before_);
}

void device_waits(uint64_t number, double seconds) {
  Slot* slot = own_slot();
  if (slot == nullptr) return;
  slot->device_since_ns = now_ns() - static_cast<int64_t>(seconds * 1e9);
  slot->device_collective = number;
}

bool on_duty() {
  return current.load(std::memory_order_relaxed) != nullptr;
}

bool failed() {
  Watched* watched = current.load(std::memory_order_acquire);
  return watched != nullptr && watched->failures.any();
}

void throw_if_failed() {
  if (!failed()) return;
  throw CommError("a rank has failed", current.load()->failures.first()->text, "");
}

void publish(ExitCode code, std::string_view text) {
  if (Watched* watched = current) claim_own(*watched, static_cast<int>(code), text);
}

int fail(const Error& error) {
  Watched* watched = current;
  if (watched == nullptr) {
    spdlog::error("{}", error.what());
    return static_cast<int>(error.exit_code());
  }
  publish(error.exit_code(), error.what());
  const int code = wait_for_the_others(*watched);
  if (!watched->board.notice().all_failed) ::_exit(code);
  return code;
}

void end_process(const Error& error) {
  ::_exit(fail(error));
}

}  // namespace resnext::watch
