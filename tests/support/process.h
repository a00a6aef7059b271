// Runs programs as a user would, and never leaves one behind.
//
// Each Process carries a mark of its own in its environment, which all its descendants inherit:
// mpirun puts ranks into process groups of their own, so a group alone would not reach them.
// Output goes to files, so that a program that writes much never waits for the test. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace resnext::test {

using Words = std::vector<std::string>;

struct Result {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
  double seconds = 0;
  bool timed_out = false;  // it was killed, and all that it had started
};

class Process {
 public:
  // Starts `command` (the program is looked for in PATH) in a process group of its own. Throws
  // std::runtime_error when it cannot be started. `environment`: NAME=VALUE, added to the test's.
  explicit Process(const Words& command, const Words& environment = {});
  // Kills what is left of it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // The process and its descendants that are alive; `program`: only those that run this file.
  std::vector<pid_t> members(const std::string& program = "") const;
  // What it has written to standard error so far.
  std::string err() const;
  // Waits for its end; after `timeout_s` kills it and its descendants.
  Result wait(double timeout_s);
  // Waits until no member is left. False when some still are after `timeout_s`.
  bool all_gone(double timeout_s) const;
  void kill_all() const;

 private:
  bool ended();

  std::string mark_;
  std::filesystem::path folder_;  // of the output files
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  double started_ = 0;
};

// mpirun and its options for `ranks` ranks, which may be more than there are cores.
Words mpirun(const std::string& mpiexec, int ranks);

Result run(const Words& command, double timeout_s, const Words& environment = {});

// Asks until `condition` holds. False when it still does not after `timeout_s`.
bool wait_until(const std::function<bool()>& condition, double timeout_s);

// The whole of a file; empty when there is none.
std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

// An empty folder under the system's temporary one, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace resnext::test
