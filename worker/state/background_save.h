// A thread that writes a save while training goes on; at most one at a time.
//
// It runs at the priority of training: with a lower one a save takes long on a CPU whose cores are
// all at work, and the next save waits for it.
//
// start(), outcome() and wait() belong to the training thread; what `job` uses must stay alone with
// it until wait() or outcome() says that it has ended. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <thread>

namespace resnext {

class BackgroundSave {
 public:
  // How jobs are carried out: on a thread of their own, unless a test wants its own way. `hurry` is
  // called before anybody waits for a job.
  struct Runner {
    std::function<void(std::function<void()> job)> start;
    std::function<void()> hurry;
  };

  explicit BackgroundSave(Runner runner = {});
  // Waits for what is being written.
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  // Waits for the job before; its error, if any, stays to be thrown.
  void start(std::function<void()> job);
  bool running() const;
  // A job has failed; wait() will say how.
  bool failed() const;
  // The job says that it goes on; for how long it has not.
  void beat();
  double idle_s() const;
  // Waits up to `seconds`; true when nothing is being written.
  bool settled(double seconds);
  // The same; throws the first error of a job, each time.
  void wait();

 private:
  struct Shared;

  Runner runner_;
  std::shared_ptr<Shared> shared_;
  std::jthread thread_;
};

}  // namespace resnext
