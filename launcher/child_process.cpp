// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr int kCannotStart = 127;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&set, number);
  return set;
}

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

// In the child. On failure errno goes through the pipe, which success closes.
[[noreturn]] void become(const Command& command, char* const* argv, char* const* environment,
                         int failure) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  use_cores(command.cores);
  redirect(command.output);
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
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
  int failure[2];
  if (::pipe2(failure, O_CLOEXEC) == 0) pid_ = ::fork();
  if (pid_ == 0) become(command, argv.data(), environment.data(), failure[1]);
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

SignalInbox::SignalInbox() {
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

SignalInbox::~SignalInbox() {
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

int SignalInbox::wait(double timeout_s) {
  const sigset_t set = watched_signals();
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeout_s);
  timeout.tv_nsec = static_cast<long>((timeout_s - std::floor(timeout_s)) * 1e9);
  const int number = ::sigtimedwait(&set, nullptr, &timeout);
  return number < 0 ? 0 : number;
}

int run_to_end(const std::vector<std::string>& argv) {
  SignalInbox inbox;
  ChildProcess child({argv, {}, "", {}});
  while (true) {
    if (const auto code = child.poll()) return *code;
    const int signal = inbox.wait(1.0);
    if (signal != 0 && signal != SIGCHLD) child.signal(SIGTERM);
  }
}

}  // namespace resnext
