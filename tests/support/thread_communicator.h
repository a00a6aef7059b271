// A world of ranks that are threads of one process: plain memory, sums in the order of the ranks.
//
// What a collective gives depends on the ranks' calls alone, never on their timing: it completes
// when every rank has called it, whatever becomes of them later; it throws CommError in all others
// once a rank that has not called it has ended, and when ranks differ in operation, type or count.
// A rank that does not come within the time limit is named in a CommError too.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "comm/common/error.h"
#include "comm/communicator.h"

namespace resnext::test {

// A collective cannot complete because of another rank.
class LostRank : public CommError {
 public:
  using CommError::CommError;
};

class ThreadCommunicator final : public Communicator {
 public:
  struct World;  // what the ranks share; any thread

  ThreadCommunicator(std::shared_ptr<World> world, int rank);
  // The rank has ended.
  ~ThreadCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override;
  std::string_view name() const override { return "threads"; }
  Ticket start_all_reduce(Buffer buffer, ReduceOp op) override;
  void wait(Ticket ticket) override;
  void broadcast(Buffer buffer, int root) override;
  void all_gather(Buffer mine, Buffer all) override;
  std::unique_ptr<Communicator> split(int ranks) override;

 private:
  using Bytes = std::vector<std::byte>;
  // Makes the result of what each rank gave.
  using Combine = std::function<Bytes(const std::vector<Bytes>&)>;

  Ticket start(const std::string& what, Buffer in, Buffer out, const Combine& combine);
  void finish(Ticket ticket, Buffer out);

  const std::shared_ptr<World> world_;
  const int rank_;
  Ticket started_ = 0;
  int splits_ = 0;
  std::map<Ticket, Buffer> results_;  // where those that were not waited for go
};

// Runs f on `ranks` threads, each with its communicator, and returns when all have ended: what each
// threw, by rank; null where it returned. `timeout_s`: for each collective. Ends the process when a
// rank does not end in ten times that.
std::vector<std::exception_ptr> outcomes_of_ranks(int ranks,
                                                  const std::function<void(Communicator&)>& f,
                                                  double timeout_s = 60);

// The same, and throws what the first rank threw, LostRank only where no rank threw another thing.
void run_ranks(int ranks, const std::function<void(Communicator&)>& f, double timeout_s = 60);

}  // namespace resnext::test
