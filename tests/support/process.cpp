// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = "RESNEXT_TEST_MARK=";

double now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

fs::path make_folder() {
  std::string name = (fs::temp_directory_path() / "resnext-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error(name + ": " + std::strerror(errno));
  }
  return name;
}

std::vector<char*> pointers(Words& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

Words whole_environment(const Words& added, const std::string& mark) {
  Words all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(kMark)) all.emplace_back(*entry);
  }
  all.insert(all.end(), added.begin(), added.end());
  all.push_back(mark);
  return all;
}

// Between fork() and exec() of a process that may have threads: system calls only.
[[noreturn]] void become(char* const* command, char* const* environment, int out, int err) {
  ::setpgid(0, 0);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::execvpe(command[0], command, environment);
  ::_exit(127);
}

int open_output(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::runtime_error(path.string() + ": " + std::strerror(errno));
  return descriptor;
}

// A zombie has no environment, so it is no member.
bool bears(const fs::path& process, const std::string& mark) {
  return (read_text(process / "environ") + '\0').find(mark + '\0') != std::string::npos;
}

}  // namespace

Process::Process(const Words& command, const Words& environment) : folder_(make_folder()) {
  mark_ = kMark + folder_.string();
  Words words = command;
  Words variables = whole_environment(environment, mark_);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(variables);
  const int out = open_output(folder_ / "out");
  const int err = open_output(folder_ / "err");
  started_ = now();
  pid_ = ::fork();
  if (pid_ == 0) become(argv.data(), envp.data(), out, err);
  ::close(out);
  ::close(err);
  if (pid_ < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
}

Process::~Process() {
  kill_all();
  if (!ended_) ::waitpid(pid_, &status_, 0);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

std::vector<pid_t> Process::members(const std::string& program) const {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (!bears(entry.path(), mark_)) continue;
    const bool wanted = program.empty() || fs::read_symlink(entry.path() / "exe", error) == program;
    if (wanted) found.push_back(std::stoi(name));
  }
  return found;
}

std::string Process::err() const {
  return read_text(folder_ / "err");
}

bool Process::ended() {
  if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return ended_;
}

Result Process::wait(double timeout_s) {
  Result result;
  result.timed_out = !wait_until([this] { return ended(); }, timeout_s);
  result.seconds = now() - started_;
  if (result.timed_out) {
    kill_all();
    ended_ = ::waitpid(pid_, &status_, 0) == pid_;
  }
  result.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  result.out = read_text(folder_ / "out");
  result.err = err();
  return result;
}

bool Process::all_gone(double timeout_s) const {
  return wait_until([this] { return members().empty(); }, timeout_s);
}

void Process::kill_all() const {
  if (!ended_) ::kill(-pid_, SIGKILL);
  for (const pid_t member : members()) ::kill(member, SIGKILL);
}

Words mpirun(const std::string& mpiexec, int ranks) {
  return {mpiexec, "--oversubscribe",    "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1",
          "-np",   std::to_string(ranks)};
}

Result run(const Words& command, double timeout_s, const Words& environment) {
  return Process(command, environment).wait(timeout_s);
}

bool wait_until(const std::function<bool()>& condition, double timeout_s) {
  const double deadline = now() + timeout_s;
  while (!condition()) {
    if (now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

TemporaryFolder::TemporaryFolder() : path_(make_folder()) {}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace resnext::test
