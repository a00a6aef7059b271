// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/folder_lock.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr int kMostTries = 1000;   // of a lock that changes hands all the time
constexpr double kLongestNap = 1;  // seconds between two looks at an owner elsewhere

double steady_seconds() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

struct Descriptor {
  explicit Descriptor(int number) : file(number) {}
  ~Descriptor() { ::close(file); }
  Descriptor(const Descriptor&) = delete;
  const int file;
};

// Nothing where the file system does not lock folders.
std::shared_ptr<void> flock_folder(const fs::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return nullptr;
  int result = -1;
  do {
    result = ::flock(file, LOCK_EX);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return std::make_shared<Descriptor>(file);
  ::close(file);
  return nullptr;
}

LockOptions with_defaults(LockOptions options) {
  if (!options.self) options.self = [name = options.program] { return this_process(name); };
  if (!options.now) options.now = steady_seconds;
  if (!options.sleep) options.sleep = sleep_seconds;
  if (!options.guard) options.guard = flock_folder;
  return options;
}

// What stands under the lock's name.
struct Holder {
  std::string target;              // of the link; empty: nobody holds it
  std::optional<LockOwner> owner;  // none: its file is missing or not whole
  bool elsewhere = false;

  bool held() const { return !target.empty(); }
};

}  // namespace

class FolderLock::Impl {
 public:
  Impl(FileSystem& files, const fs::path& folder, LockOptions options)
      : files_(files),
        folder_(folder),
        options_(with_defaults(std::move(options))),
        self_(options_.self()),
        mine_(options_.name + "." + self_.token) {}

  void take();
  void refuse_if_held(std::string_view friendly_token);
  bool heartbeat();
  bool still_ours();
  void release() noexcept;

  const LockOwner& self() const { return self_; }
  const fs::path& folder() const { return folder_; }

 private:
  fs::path link() const { return folder_ / options_.name; }
  Holder look();
  void wait_for_death(Holder& holder);
  void watch(const Holder& holder);
  bool try_once();
  bool set_aside(const Holder& dead);
  bool claim();
  [[noreturn]] void refuse(const Holder& holder) const;

  FileSystem& files_;
  const fs::path folder_;
  const LockOptions options_;
  const LockOwner self_;
  const std::string mine_;  // name of our own file
  bool ours_ = false;
  double last_beat_ = 0;
};

Holder FolderLock::Impl::look() {
  Holder holder;
  holder.target = files_.read_link(link());
  if (!holder.held()) return holder;
  try {
    holder.owner = parse_lock_owner(files_.read(folder_ / holder.target));
  } catch (const FileError&) {  // it has just gone, or was lost
  }
  return holder;
}

void FolderLock::Impl::refuse(const Holder& holder) const {
  const std::string who =
      holder.owner ? describe(*holder.owner) : "a process that its lock does not name";
  throw ConfigError(folder_.string(), "is in use by " + who,
                    fmt::format("let it end or stop it, or name another folder; should it be gone "
                                "for certain, remove {}",
                                link().string()));
}

// Returns when the owner does not live or the lock has changed hands; throws when it lives.
void FolderLock::Impl::wait_for_death(Holder& holder) {
  const Liveness life = holder.owner ? options_.liveness(*holder.owner) : Liveness::kElsewhere;
  if (life == Liveness::kAlive) refuse(holder);
  holder.elsewhere = life == Liveness::kElsewhere;
  if (holder.elsewhere) watch(holder);
}

void FolderLock::Impl::watch(const Holder& holder) {
  const fs::path file = folder_ / holder.target;
  const double start = options_.now();
  double age = files_.age_s(file);
  while (age < options_.lease_s && options_.now() - start < options_.lease_s) {
    options_.sleep(std::min(kLongestNap, options_.lease_s / 10));
    if (files_.read_link(link()) != holder.target) return;
    const double before = std::exchange(age, files_.age_s(file));
    if (age >= 0 && age < before) refuse(holder);
  }
}

// A link that somebody else has made meanwhile is put back.
bool FolderLock::Impl::set_aside(const Holder& dead) {
  const fs::path aside = link().string() + ".dead-" + self_.token;
  try {
    files_.rename(link(), aside);
  } catch (const FileError&) {
    if (files_.exists(link())) throw;
    return false;
  }
  const std::string target = files_.read_link(aside);
  files_.remove_all(aside);
  if (target == dead.target) {
    files_.remove_all(folder_ / target);
    return true;
  }
  files_.make_link(target, link());
  return false;
}

// False when somebody was faster.
bool FolderLock::Impl::claim() {
  files_.replace(folder_ / mine_, to_json(self_));
  try {
    files_.make_link(mine_, link());
    return true;
  } catch (const FileError&) {
    const bool taken = files_.exists(link());
    files_.remove_all(folder_ / mine_);
    if (!taken) throw;
    return false;
  }
}

bool FolderLock::Impl::try_once() {
  Holder holder = look();
  if (holder.held()) wait_for_death(holder);
  std::shared_ptr<void> guard = options_.guard(folder_);
  if (files_.read_link(link()) != holder.target) return false;
  if (holder.held() && !set_aside(holder)) return false;
  if (!claim()) return false;
  const bool may_race = holder.held() && (holder.elsewhere || guard == nullptr);
  guard.reset();
  if (may_race) options_.sleep(options_.settle_s);
  return !may_race || still_ours();
}

void FolderLock::Impl::take() {
  try {
    files_.make_folders(folder_);
    for (int i = 0; i < kMostTries && !ours_; ++i) ours_ = try_once();
  } catch (const FileError& error) {
    throw OutputError(link().string(), fmt::format("cannot be made: {}", error.what()),
                      "free space, correct the permissions, or name another folder");
  }
  if (!ours_) throw ConfigError(link().string(), "is no lock that can be taken", "remove it");
  last_beat_ = options_.now();
}

void FolderLock::Impl::refuse_if_held(std::string_view friendly_token) {
  try {
    Holder holder = look();
    if (!holder.held()) return;
    if (holder.owner && holder.owner->token == friendly_token) return;
    wait_for_death(holder);
    if (const Holder now = look(); now.held() && now.target != holder.target) refuse(now);
  } catch (const FileError& error) {
    throw OutputError(link().string(), error.what(), "correct the permissions");
  }
}

bool FolderLock::Impl::still_ours() {
  try {
    const std::string target = files_.read_link(link());  // empty when it cannot be read, too
    if (!target.empty()) return target == mine_;
    return files_.exists(link());
  } catch (const FileError&) {  // not to be seen for now
    return true;
  }
}

bool FolderLock::Impl::heartbeat() {
  if (!ours_ || options_.now() - last_beat_ < options_.heartbeat_s) return ours_;
  last_beat_ = options_.now();
  try {
    files_.touch(folder_ / mine_);
  } catch (const FileError&) {  // what it means, the look below tells
  }
  return ours_ = still_ours();
}

void FolderLock::Impl::release() noexcept {
  if (!std::exchange(ours_, false)) return;
  try {
    const std::shared_ptr<void> guard = options_.guard(folder_);
    if (files_.read_link(link()) == mine_) files_.remove_all(link());
    files_.remove_all(folder_ / mine_);
  } catch (const std::exception& error) {
    spdlog::warn("{}: the lock cannot be removed: {}", link().string(), error.what());
  } catch (...) {  // whatever it is, the process goes on to its end
  }
}

FolderLock::FolderLock(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FolderLock::FolderLock(FolderLock&&) noexcept = default;
FolderLock::~FolderLock() {
  if (impl_) impl_->release();
}

FolderLock FolderLock::take(FileSystem& files, const fs::path& folder, LockOptions options) {
  auto impl = std::make_unique<Impl>(files, folder, std::move(options));
  impl->take();
  return FolderLock(std::move(impl));
}

void FolderLock::refuse_if_held(FileSystem& files, const fs::path& folder, LockOptions options,
                                std::string_view friendly_token) {
  Impl(files, folder, std::move(options)).refuse_if_held(friendly_token);
}

bool FolderLock::heartbeat() {
  return impl_->heartbeat();
}
bool FolderLock::still_ours() {
  return impl_->still_ours();
}
void FolderLock::release() noexcept {
  impl_->release();
}
const std::string& FolderLock::token() const {
  return impl_->self().token;
}
const fs::path& FolderLock::folder() const {
  return impl_->folder();
}

}  // namespace resnext
