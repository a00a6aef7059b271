// Faults that are injected into the fake, shared by its two halves.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

namespace resnext::test {

struct FakeState {
  struct Fault {
    int code = 0;
    int skip = 0;
  };

  // Counts a call; the code that it is to fail with, or 0.
  int enter(const char* function);
  // Holds the caller while `flag` is set.
  void hang_while(const bool& flag);

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, Fault> faults;
  std::map<std::string, int> calls;
  bool hang_abort = false;
  bool hang_launch = false;
  std::atomic<int> registrations{0};
  std::atomic<int> slow_polls{0};
  std::atomic<int> async_error{0};
  std::atomic<int> version{0};  // 0: the header's
  std::atomic<int> visible{8};
  std::atomic<int> first_bus{0x10};
};

FakeState& fake_state();

}  // namespace resnext::test
