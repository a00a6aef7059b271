// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/reaper.h"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kNap{2};
constexpr std::chrono::seconds kBetweenWarnings{10};

// Field 4 of /proc/PID/stat (proc(5)); field 2 may hold spaces and parentheses.
pid_t parent_of(const fs::path& process) {
  std::ifstream stream(process / "stat");
  std::string line;
  std::getline(stream, line);
  const auto name_end = line.rfind(')');
  pid_t parent = -1;
  char state = 0;
  if (name_end == line.npos) return -1;
  if (std::sscanf(line.c_str() + name_end + 1, " %c %d", &state, &parent) != 2) return -1;
  return parent;
}

std::set<pid_t> our_children() {
  std::set<pid_t> children;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    if (parent_of(entry.path()) == ::getpid()) children.insert(std::stoi(name));
  }
  return children;
}

}  // namespace

Reaper::Reaper() : earlier_(our_children()) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

// Only children are signalled: their ids cannot be used again before we have waited for them.
void Reaper::end_strays(const std::set<pid_t>& living) const {
  auto next_warning = std::chrono::steady_clock::now() + kBetweenWarnings;
  while (true) {
    std::set<pid_t> strays = our_children();
    std::erase_if(strays,
                  [&](pid_t pid) { return living.contains(pid) || earlier_.contains(pid); });
    if (strays.empty()) return;
    for (const pid_t pid : strays) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, WNOHANG);
    }
    if (std::chrono::steady_clock::now() > next_warning) {
      spdlog::warn("waiting for processes that cannot be ended: {}", fmt::join(strays, ", "));
      next_warning += kBetweenWarnings;
    }
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace resnext
