// Who holds a lock: a process that can be told from every other one, on any host, at any time.
//
// A process id alone is not enough: it is used again, and means another process in another
// container. Local. Reads /proc; throws nothing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace resnext {

struct LockOwner {
  std::string program;
  std::string host;
  std::string system;         // boot id and process id namespace: where `pid` means something
  int64_t pid = 0;            // 0: nobody
  int64_t process_start = 0;  // ticks since boot, field 22 of /proc/PID/stat (proc(5))
  std::string job;            // "1234, restart 2" inside a Slurm job; else empty
  std::string since;          // "2025-01-31 23:59:59 +0100", for people
  std::string token;          // random, of this one lock

  bool operator==(const LockOwner&) const = default;
};

enum class Liveness { kAlive, kDead, kElsewhere };  // kElsewhere: cannot be seen from here

// This process, now, with a new token.
LockOwner this_process(const std::string& program);

// Dead: its process is gone, is a zombie, or has given its id to another one.
Liveness liveness_of(const LockOwner& owner);

// As lines of JSON, and back; none when `text` is not whole.
std::string to_json(const LockOwner& owner);
std::optional<LockOwner> parse_lock_owner(const std::string& text);

// "resnext_launcher, process 12 on host a, job 34, since ..."
std::string describe(const LockOwner& owner);

}  // namespace resnext
