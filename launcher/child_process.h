// One program that this process has started, its signals and its end.
//
// The child leads a session of its own, so that neither Ctrl-C on the terminal nor the terminal's
// end reaches it and we decide what the ranks get; it reads from /dev/null and is told to stop
// should we die. Local. Throws ConfigError when the program cannot be started.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "launcher/signal_inbox.h"

namespace resnext {

struct Command {
  std::vector<std::string> argv;  // the program is looked for in PATH
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
  std::string output = {};       // file that gets both outputs, appended; empty: ours
  std::vector<int> cores = {};   // that it and its descendants may use; empty: all of ours
  bool deaf_to_sigterm = false;  // it starts with SIGTERM blocked
  int signal_when_we_die = SIGTERM;
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

  pid_t pid() const { return pid_; }  // -1 once it has ended
  void signal(int number) const;
  // Whether the child has a handler for this signal or keeps it waiting: else it would die of it.
  bool minds(int number) const;

  // Its exit code once it has ended (128 + signal when a signal ended it), without waiting.
  std::optional<int> poll();

 private:
  pid_t pid_ = -1;  // -1: has ended and was waited for
};

// Starts a program, waits for its end and returns its exit code. A stop request does not disturb
// it.
int run_to_end(const Command& command);

// The same, but a stop request ends the program (SIGTERM each second); `on_tick` is called about
// once a second.
int run_until_stopped(const Command& command, SignalInbox& inbox,
                      const std::function<void()>& on_tick);

}  // namespace resnext
