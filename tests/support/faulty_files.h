// The machine's files, of which one call fails: for tests that try every call.
//
// Calls are counted from 0, a write in pieces as one each. After a death every call dies too, as
// nothing of a killed process goes on. Nothing here outlives the machine: sync() only counts.
// Local; one thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <limits>

#include "comm/common/file_system.h"

namespace resnext::test {

// Not an error that anybody catches.
struct Death {};

enum class Fault {
  kDeathBefore,  // the process dies before the call
  kDeathWithin,  // after it; of a write, after its first half
  kNoSpace,      // ENOSPC from here on, of all that takes space; a write writes its first half
  kIoError,      // EIO of this call alone
};

class FaultyFiles final : public FileSystem {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  explicit FaultyFiles(Fault fault = Fault::kIoError, int64_t at = kNever)
      : fault_(fault), at_(at) {}

  int64_t calls() const { return calls_; }
  // What would be wrong from here on is not.
  void heal() { at_ = kNever; }

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

 private:
  class File;

  // Carries a call out, or what becomes of it. `partly`: what a death or a full disk leaves of it.
  template <class F, class Partly>
  auto call(const std::filesystem::path& path, bool takes_space, F whole, Partly partly);
  template <class F>
  auto call(const std::filesystem::path& path, bool takes_space, F whole);

  Fault fault_;
  int64_t at_;
  int64_t calls_ = 0;
};

}  // namespace resnext::test
