// One program that this process has started, its signals and its end.
//
// The child leads a process group of its own, so that a Ctrl-C on the terminal reaches only us and
// we decide what the ranks get; it reads from /dev/null and is told to stop should we die. Local.
// Throws ConfigError when the program cannot be started.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace resnext {

struct Command {
  std::vector<std::string> argv;  // the program is looked for in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::string output;      // file that gets both outputs, appended; empty: ours
  std::vector<int> cores;  // that it and its descendants may use; empty: all of ours
};

class ChildProcess {
 public:
  explicit ChildProcess(const Command& command);
  // Kills the child's process group if it is still there.
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }

  void signal(int number) const;

  // Its exit code once it has ended (128 + signal when a signal ended it), without waiting.
  std::optional<int> poll();

 private:
  pid_t pid_ = -1;  // -1: has ended and was waited for
};

// While it lives, stop requests (SIGINT, SIGTERM, SIGUSR1) and ends of children do not interrupt
// but wait to be taken. One at a time; children start with the signals as they were before.
class SignalInbox {
 public:
  SignalInbox();
  ~SignalInbox();
  SignalInbox(const SignalInbox&) = delete;
  SignalInbox& operator=(const SignalInbox&) = delete;

  // The next signal, SIGCHLD among them; 0 after `timeout_s`.
  int wait(double timeout_s);
};

// Starts a program, waits for its end and returns its exit code.
int run_to_end(const std::vector<std::string>& argv);

}  // namespace resnext
