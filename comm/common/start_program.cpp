// Blocks the stop signals and becomes ../libexec/NAME_program, NAME being its own file name.
//
// Linked statically, it runs within a millisecond; the loader needs up to a second for the
// libraries of the real program, and a signal would end it meanwhile.
// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>

#include "comm/common/stop_signals.h"

namespace {

constexpr int kInternal = 70;  // ExitCode::kInternal

int fail(const char* path) {
  std::perror(path);
  std::fputs("the installation is not complete: libexec/ belongs beside bin/\n", stderr);
  return kInternal;
}

}  // namespace

int main(int, char** argv) {
  const sigset_t signals = resnext::stop_signal_set();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  char path[PATH_MAX + sizeof "/../libexec/_program"] = {};
  if (::readlink("/proc/self/exe", path, PATH_MAX / 2) < 0) return fail("/proc/self/exe");
  char* const slash = std::strrchr(path, '/');
  char name[PATH_MAX / 2 + 1] = {};
  std::strncpy(name, slash + 1, sizeof name - 1);
  std::strcpy(slash, "/../libexec/");
  std::strcat(path, name);
  std::strcat(path, "_program");
  ::execv(path, argv);
  return fail(path);
}
