// How resnext_data answers a request to stop: in order within two seconds, else by force.
//
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

namespace resnext {

class StopRequests {
 public:
  // Blocks the stop signals (comm/common/stop_signals.h) and waits for them on a thread of its own:
  // to be made before any other thread. When a request has not ended the program two seconds later,
  // because it reads from a file system that does not answer, `unfinished` is removed and the
  // process ends with 75. An empty name stands for no file.
  explicit StopRequests(std::string unfinished);
  ~StopRequests();
  StopRequests(const StopRequests&) = delete;
  StopRequests& operator=(const StopRequests&) = delete;

  // Throws Error (75) once a stop was requested.
  void check() const;

 private:
  void wait();

  std::string unfinished_;
  sigset_t signals_;
  std::atomic<bool> requested_ = false;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace resnext
