// One process's files on a simulated disk: every call can fail, lie, take time or be its last.
//
// Give each process (a rank, a launcher, a second job) one of its own over the same disk: its calls
// are counted from 1 and its faults drawn from (seed, call, path, how often so far), so that a
// history repeats whatever other threads do. One call is: each function of FileSystem, each write,
// sync and close of an open file, each folder that make_folders() makes and each name that
// remove_all() removes; calls that the kernel answers from memory (close) never fail, but count.
// The disk and this must outlive the open files. May be called from any thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "comm/common/file_system.h"
#include "tests/simulation/simulated_disk.h"

namespace resnext::test {

// Thrown by every call of a process that was killed. No std::exception, so that no handler of
// errors takes it for one. A killed process changes nothing any more. While another exception
// already leaves its scope, a call throws FileError (EIO) instead: destructors catch those.
struct Killed {};

// Chances are of each call, from 0 to 1.
struct Faults {
  double fails = 0;  // throws and does nothing; a write has written some first
  int error = EIO;   // with this; of ENOSPC and EDQUOT, only calls that store something do
  double lies = 0;   // of syncs: returns at once, nothing is safe
  double waits = 0;  // takes up to wait_s of the disk's clock
  double wait_s = 0;
};

class SimulatedFiles final : public FileSystem {
 public:
  explicit SimulatedFiles(SimulatedDisk& disk, uint64_t seed = 0) : disk_(disk), seed_(seed) {}

  std::vector<std::string> list(const std::filesystem::path& folder) override;
  bool exists(const std::filesystem::path& path) override;
  uint64_t size(const std::filesystem::path& path) override;
  std::string read(const std::filesystem::path& path) override;
  std::unique_ptr<WritableFile> create(const std::filesystem::path& path) override;
  std::unique_ptr<WritableFile> append(const std::filesystem::path& path) override;
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  void remove_all(const std::filesystem::path& path) override;
  void make_folders(const std::filesystem::path& folder) override;
  void make_link(const std::string& target, const std::filesystem::path& link) override;
  std::string read_link(const std::filesystem::path& link) override;
  void sync_folder(const std::filesystem::path& folder) override;
  void touch(const std::filesystem::path& path) override;
  double age_s(const std::filesystem::path& path) override;

  void set_faults(const Faults& faults);
  // Calls `first` to `first + count - 1` fail with `error`.
  void fail_at(uint64_t first, int error, uint64_t count = 1);
  // The process is killed in this call: before it does anything, or amid a write. 0: never.
  void kill_at(uint64_t call);
  void kill();
  bool killed() const;
  // A new process: calls go on being counted, nothing planned is left but set_faults().
  void revive();

  uint64_t calls() const;
  // "NUMBER CALL PATH" of every call, with what came of it where that was a fault.
  std::string trace() const;

 private:
  class OpenFile;
  enum class Outcome { kDone, kFailed, kLied, kKilled };
  struct Verdict {
    Outcome outcome = Outcome::kDone;
    int error = 0;
    double part = 0;  // of a write that is not done, what was written
  };
  struct Call {
    const char* name;
    std::string path;
    Verdict verdict;
  };

  // Counts a call and says what becomes of it.
  Verdict judge(const char* name, const std::filesystem::path& path);
  Verdict draw(std::string_view name, const std::string& path);
  [[noreturn]] static void end(const Verdict& verdict, const char* name,
                               const std::filesystem::path& path);
  // Both in one. False: pretend to have done it.
  bool begin(const char* name, const std::filesystem::path& path);

  SimulatedDisk& disk_;
  const uint64_t seed_;
  mutable std::mutex mutex_;
  Faults faults_;
  std::vector<Call> calls_;
  std::unordered_map<uint64_t, uint64_t> repeats_;  // by seed, call and path
  uint64_t first_failing_ = 0, failing_ = 0;
  int error_ = 0;
  uint64_t last_ = 0;
  bool killed_ = false;
};

}  // namespace resnext::test
