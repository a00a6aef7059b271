// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr int kCannotStart = 127;

std::vector<std::string> merged_environment(const Command& command) {
  std::vector<std::string> all;
  const auto replaced = [&](std::string_view entry) {
    for (const auto& [name, value] : command.environment) {
      if (entry.starts_with(name + "=")) return true;
    }
    return false;
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!replaced(*entry)) all.emplace_back(*entry);
  }
  for (const auto& [name, value] : command.environment) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

void use_cores(const std::vector<int>& cores) {
  if (cores.empty()) return;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  for (const int core : cores) CPU_SET(core, &mask);
  ::sched_setaffinity(0, sizeof mask, &mask);
}

void redirect(const std::string& output) {
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  if (output.empty()) return;
  const int file = ::open(output.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0666);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
}

void set_signals(const Command& command, pid_t parent) {
  sigset_t set;
  ::sigemptyset(&set);
  if (command.deaf_to_sigterm) ::sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  ::prctl(PR_SET_PDEATHSIG, command.signal_when_we_die);
  if (::getppid() != parent) ::_exit(kCannotStart);  // it has died before it could be noted
}

// In the child. On failure errno goes through the pipe, which success closes.
[[noreturn]] void become(const Command& command, pid_t parent, char* const* argv,
                         char* const* environment, int failure) {
  ::setsid();
  use_cores(command.cores);
  redirect(command.output);
  set_signals(command, parent);
  ::execvpe(argv[0], argv, environment);
  const int error = errno;
  [[maybe_unused]] const auto written = ::write(failure, &error, sizeof error);
  ::_exit(kCannotStart);
}

}  // namespace

ChildProcess::ChildProcess(const Command& command) {
  std::vector<std::string> words = command.argv;
  std::vector<std::string> variables = merged_environment(command);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> environment = pointers(variables);
  const pid_t parent = ::getpid();
  int failure[2];
  if (::pipe2(failure, O_CLOEXEC) == 0) pid_ = ::fork();
  if (pid_ == 0) become(command, parent, argv.data(), environment.data(), failure[1]);
  int error = pid_ < 0 ? errno : 0;
  ::close(failure[1]);
  const bool failed = pid_ < 0 || ::read(failure[0], &error, sizeof error) > 0;
  ::close(failure[0]);
  if (!failed) return;
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  throw ConfigError(words.front(), std::string("cannot be started: ") + std::strerror(error),
                    "install it, or add its folder to PATH");
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

std::optional<int> ChildProcess::poll() {
  int status = 0;
  if (pid_ < 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The lines SigBlk and SigCgt of /proc/PID/status are bit masks in hexadecimal (proc(5)).
bool ChildProcess::minds(int number) const {
  std::ifstream stream("/proc/" + std::to_string(pid_) + "/status");
  uint64_t minded = 0;
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("SigBlk:") || line.starts_with("SigCgt:")) {
      minded |= std::stoull(line.substr(std::strlen("SigBlk:")), nullptr, 16);
    }
  }
  return (minded >> (number - 1) & 1) != 0;
}

int run_to_end(const Command& command) {
  ChildProcess child(command);
  while (true) {
    if (const auto code = child.poll()) return *code;
    ::waitid(P_PID, static_cast<id_t>(child.pid()), nullptr, WEXITED | WNOWAIT);
  }
}

int run_until_stopped(const Command& command, SignalInbox& inbox,
                      const std::function<void()>& on_tick) {
  ChildProcess child(command);
  while (true) {
    if (const auto code = child.poll()) return *code;
    if (inbox.stop_signal() != 0) child.signal(SIGTERM);
    inbox.wait(1.0);
    on_tick();
  }
}

}  // namespace resnext
