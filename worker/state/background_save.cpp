// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/background_save.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct BackgroundSave::Shared {
  std::mutex mutex;
  std::condition_variable ended;
  bool running = false;
  std::atomic<Clock::time_point> last_beat = Clock::now();
  std::exception_ptr error;

  void run(const std::function<void()>& job) {
    std::exception_ptr raised;
    try {
      job();
    } catch (...) {
      raised = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    if (!error) error = raised;
    running = false;
    ended.notify_all();
  }
};

BackgroundSave::BackgroundSave(Runner runner)
    : runner_(std::move(runner)), shared_(std::make_shared<Shared>()) {
  if (runner_.start) return;
  runner_.hurry = [] {};
  runner_.start = [this](std::function<void()> job) { thread_ = std::jthread(std::move(job)); };
}

BackgroundSave::~BackgroundSave() = default;

void BackgroundSave::start(std::function<void()> job) {
  wait();
  shared_->running = true;
  beat();
  try {
    runner_.start([shared = shared_, job = std::move(job)] { shared->run(job); });
  } catch (...) {  // no thread can be made
    shared_->running = false;
    throw;
  }
}

void BackgroundSave::beat() {
  shared_->last_beat = Clock::now();
}

double BackgroundSave::idle_s() const {
  return std::chrono::duration<double>(Clock::now() - shared_->last_beat.load()).count();
}

bool BackgroundSave::running() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->running;
}

bool BackgroundSave::failed() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->error != nullptr;
}

bool BackgroundSave::settled(double seconds) {
  runner_.hurry();
  std::unique_lock lock(shared_->mutex);
  return shared_->ended.wait_for(lock, std::chrono::duration<double>(seconds),
                                 [this] { return !shared_->running; });
}

void BackgroundSave::wait() {
  runner_.hurry();
  std::unique_lock lock(shared_->mutex);
  shared_->ended.wait(lock, [this] { return !shared_->running; });
  if (shared_->error) std::rethrow_exception(shared_->error);
}

}  // namespace resnext
