// Communicator of a world of one: every collective is the identity, also on GPU memory, but for
// all_gather(), which copies and so throws Error (70) when given GPU memory.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.h"

namespace resnext {

class SingleProcessCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string_view name() const override { return "single"; }
  Ticket start_all_reduce(Buffer buffer, ReduceOp op) override;
  void wait(Ticket ticket) override {}
  void broadcast(Buffer buffer, int root) override;
  void all_gather(Buffer mine, Buffer all) override;
  std::unique_ptr<Communicator> split(int ranks) override;

 private:
  Ticket tickets_ = 0;
};

}  // namespace resnext
