// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/run_owner.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr std::chrono::seconds kBeat{1};  // the lock itself touches its file more seldom

// Whoever takes the lock will say what is wrong with it.
bool is_there(FileSystem& files, const std::filesystem::path& output) try {
  return files.exists(output);
} catch (const FileError&) {
  return true;
}

FolderLock taken(FileSystem& files, const std::filesystem::path& output,
                 const OwnerOptions& options) {
  LockOptions launcher = options.lock;
  launcher.name = kLauncherLock;
  FolderLock::refuse_if_held(files, output, launcher, options.launcher_token);
  try {
    return FolderLock::take(files, output, options.lock);
  } catch (const OutputError& error) {
    throw OutputError(output.string(),
                      std::string("the run folder cannot be written: ") + error.what(),
                      "set run.output to a folder that can be, or free space");
  }
}

}  // namespace

OwnerOptions owner_options() {
  OwnerOptions options;
  options.lock.name = kRunLock;
  options.lock.program = "resnext_worker";
  if (const char* token = std::getenv(kLauncherLockVariable)) options.launcher_token = token;
  return options;
}

struct RunOwner::Shared {
  explicit Shared(FolderLock taken_lock) : lock(std::move(taken_lock)) {}

  void beat(const std::stop_token& stop) {
    std::unique_lock guard(mutex);
    while (!stop.stop_requested() && !lost) {
      changed.wait_for(guard, stop, kBeat, [] { return false; });
      lost = !lock.heartbeat();
    }
  }

  FolderLock lock;  // under `mutex`
  std::mutex mutex;
  std::condition_variable_any changed;
  std::atomic<bool> lost = false;
  std::jthread heart;  // last: ends first
};

RunOwner::RunOwner(FileSystem& files, const std::filesystem::path& output,
                   const OwnerOptions& options)
    : made_(is_there(files, output) ? std::filesystem::path() : output),
      shared_(std::make_unique<Shared>(taken(files, output, options))) {
  if (!options.heart) return;
  shared_->heart =
      std::jthread([shared = shared_.get()](const std::stop_token& stop) { shared->beat(stop); });
}

RunOwner::~RunOwner() {
  shared_.reset();
  if (!made_.empty()) ::rmdir(made_.c_str());  // refuses what is not empty
}

void RunOwner::check() const {
  if (!shared_->lost) return;
  throw ConfigError(shared_->lock.folder().string(),
                    "another process has taken the run folder over while this one stood still",
                    "see run.lock for whose it is now; nothing more is written here");
}

}  // namespace resnext
