// Communicator over MPI, for buffers in host memory.
//
// One communication thread makes all MPI calls of this communicator, blocking ones, in the order
// in which they were started: MPI_Iallreduce moves data only inside MPI calls and is half as fast.
// bfloat16 is combined in float32 and rounded to nearest even each time (mpi_bfloat16.h).
// wait() throws CommError as soon as a rank has failed. Without a watchdog (watch/watch.h), which
// knows who hangs, it gives up after `timeout_s` itself and names the collective.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mpi.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "comm/communicator.h"

namespace resnext {

class MpiCommunicator final : public Communicator {
 public:
  // Collective: duplicates MPI_COMM_WORLD.
  explicit MpiCommunicator(double timeout_s);
  // Local. Ends the communication thread once it is idle; a thread that is stuck in a collective
  // of a lost peer is left behind for the abort that follows.
  ~MpiCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string_view name() const override { return "mpi"; }
  Ticket start_all_reduce(Buffer buffer, ReduceOp op) override;
  void wait(Ticket ticket) override;
  std::optional<std::chrono::steady_clock::time_point> completed_at(Ticket ticket) const override;
  void broadcast(Buffer buffer, int root) override;
  void all_gather(Buffer mine, Buffer all) override;
  std::unique_ptr<Communicator> split(int ranks) override;

 private:
  struct Shared;
  // Takes `comm` over.
  MpiCommunicator(MPI_Comm comm, double timeout_s);
  Ticket start(std::string what, std::function<void()> call);
  void wait_in_phase(Ticket ticket, std::unique_lock<std::mutex>& lock);

  int rank_ = 0;
  int size_ = 1;
  double timeout_s_;
  std::shared_ptr<Shared> shared_;  // outlives a thread that is left behind
};

}  // namespace resnext
