// A library to preload: ends or spoils one of a program's system calls on files of one folder.
//
// FILE_FAULT="FOLDER N WHAT": in the N-th call (from 1) that has to do with a file below FOLDER,
// WHAT happens: "kill", "ENOSPC", "EIO", or "short" (a write does its first half and says so).
// Every such call adds a byte to FILE_FAULT_COUNT, if that names a file, so that they can be
// counted. Calls: open, write, pwrite, ftruncate, fsync, fdatasync, rename, mkdir, symlink,
// readlink, unlink, rmdir, fstat's kin are left alone.
// SPDX-License-Identifier: BSD-3-Clause
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Plan {
  char folder[PATH_MAX] = {};
  long at = 0;
  char what[16] = {};
  int count_file = -1;

  Plan() {
    const char* text = std::getenv("FILE_FAULT");
    if (text != nullptr) std::sscanf(text, "%4095s %ld %15s", folder, &at, what);
    const char* count = std::getenv("FILE_FAULT_COUNT");
    if (count != nullptr) {
      count_file =
          static_cast<int>(::syscall(SYS_open, count, O_WRONLY | O_CREAT | O_APPEND, 0666));
    }
  }
};

Plan& plan() {
  static Plan the_plan;
  return the_plan;
}

bool is_below(const char* path) {
  const size_t length = std::strlen(plan().folder);
  return length > 0 && path != nullptr && std::strncmp(path, plan().folder, length) == 0;
}

bool is_below(int file) {
  char link[64], path[PATH_MAX] = {};
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  return ::syscall(SYS_readlink, link, path, sizeof path - 1) > 0 && is_below(path);
}

// The errno that this call is to fail with; 0: none; -1: it is to be cut short.
template <class Target>
int judge(Target target) {
  static std::atomic<long> calls = 0;
  if (!is_below(target)) return 0;
  if (plan().count_file >= 0) ::syscall(SYS_write, plan().count_file, ".", 1);
  if (++calls != plan().at) return 0;
  if (std::strcmp(plan().what, "kill") == 0) ::kill(::getpid(), SIGKILL);
  if (std::strcmp(plan().what, "ENOSPC") == 0) return ENOSPC;
  if (std::strcmp(plan().what, "EIO") == 0) return EIO;
  return -1;
}

template <class F>
F next(F, const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

template <class Target, class F, class... Arguments>
long call(Target target, F function, const char* name, Arguments... arguments) {
  if (const int error = judge(target); error > 0) {
    errno = error;
    return -1;
  }
  return next(function, name)(arguments...);
}

mode_t mode_of(int flags, va_list& arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return static_cast<int>(call(path, open, "open", path, flags, mode));
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return static_cast<int>(call(path, open64, "open64", path, flags, mode));
}
ssize_t write(int file, const void* data, size_t count) {
  const int error = judge(file);
  if (error > 0) {
    errno = error;
    return -1;
  }
  return next(write, "write")(file, data, error < 0 ? (count + 1) / 2 : count);
}
ssize_t pwrite(int file, const void* data, size_t count, off_t offset) {
  const int error = judge(file);
  if (error > 0) {
    errno = error;
    return -1;
  }
  return next(pwrite, "pwrite")(file, data, error < 0 ? (count + 1) / 2 : count, offset);
}
ssize_t pwrite64(int file, const void* data, size_t count, off64_t offset) {
  return pwrite(file, data, count, offset);
}
int ftruncate(int file, off_t size) {
  return static_cast<int>(call(file, ftruncate, "ftruncate", file, size));
}
int ftruncate64(int file, off64_t size) {
  return ftruncate(file, size);
}
int fdatasync(int file) {
  return static_cast<int>(call(file, fdatasync, "fdatasync", file));
}
int fsync(int file) {
  return static_cast<int>(call(file, fsync, "fsync", file));
}
int rename(const char* from, const char* to) {
  return static_cast<int>(call(to, rename, "rename", from, to));
}
int mkdir(const char* path, mode_t mode) {
  return static_cast<int>(call(path, mkdir, "mkdir", path, mode));
}
int symlink(const char* target, const char* path) {
  return static_cast<int>(call(path, symlink, "symlink", target, path));
}
ssize_t readlink(const char* path, char* buffer, size_t size) {
  return call(path, readlink, "readlink", path, buffer, size);
}
int unlink(const char* path) {
  return static_cast<int>(call(path, unlink, "unlink", path));
}
int rmdir(const char* path) {
  return static_cast<int>(call(path, rmdir, "rmdir", path));
}
int unlinkat(int folder, const char* path, int flags) {
  const bool absolute = path != nullptr && path[0] == '/';
  const long result = absolute ? call(path, unlinkat, "unlinkat", folder, path, flags)
                               : call(folder, unlinkat, "unlinkat", folder, path, flags);
  return static_cast<int>(result);
}

}  // extern "C"
