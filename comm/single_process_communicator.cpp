// SPDX-License-Identifier: BSD-3-Clause
#include "comm/single_process_communicator.h"

#include <cstring>

#include "comm/common/error.h"

namespace resnext {

Ticket SingleProcessCommunicator::start_all_reduce(Buffer, ReduceOp) {
  return ++tickets_;
}

void SingleProcessCommunicator::broadcast(Buffer, int root) {
  if (root != 0) {
    throw CommError("broadcast", "root " + std::to_string(root) + " is not a rank of a world of 1",
                    "name a rank below the world size");
  }
}

void SingleProcessCommunicator::all_gather(Buffer mine, Buffer all) {
  if (mine.device || all.device) {
    throw Error(ExitCode::kInternal, "all_gather",
                "a world of one without a backend copies host memory only",
                "copy the buffers to host memory before, or set comm.backend to nccl");
  }
  std::memmove(all.data, mine.data, mine.bytes());
}

std::unique_ptr<Communicator> SingleProcessCommunicator::split(int) {
  return std::make_unique<SingleProcessCommunicator>();
}

}  // namespace resnext
