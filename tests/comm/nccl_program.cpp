// nccl_program FAULT: a program as the worker is, over the fake NCCL, that meets one fault.
// SPDX-License-Identifier: BSD-3-Clause
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <string>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "comm/make_communicator.h"
#include "comm/mpi_environment.h"
#include "comm/watch/watch.h"
#include "comm/watch/watchdog.h"
#include "tests/support/fake_nccl/fake_nccl.h"

namespace resnext {
namespace {

constexpr int kRemoteError = 6;

// Before the communicator starts. The last rank meets the fault.
void inject_early(const std::string& fault, bool here) {
  if (fault == "too_few_gpus") fake_devices(1, 0x10);
  if (fault == "version") fake_version(30000);
  if (fault == "init" && here) fake_fail("ncclCommInitRankConfig", kRemoteError, 0);
}

void inject(const std::string& fault, bool here) {
  if (fault == "hanging_abort") fake_hang_abort();
  if (!here) return;
  if (fault == "async") fake_async_error(kRemoteError);
  if (fault == "full_gpu") fake_fail("cudaEventRecord", cudaErrorMemoryAllocation, 0);
  if (fault == "data") {
    watch::guard([] { throw DataError("images", "a sample is damaged", "pack them again"); });
  }
  if (fault == "all_reduce") fake_fail("ncclAllReduce", kRemoteError, 0);
  if (fault == "lost" || fault == "hanging_abort") pause();  // never comes
}

int sum(Communicator& communicator) {
  double value = 1;
  communicator.all_reduce({&value, 1, DataType::kFloat64, true}, ReduceOp::kSum);
  cudaStreamSynchronize(nullptr);
  communicator.watch_current_stream("the end");  // throws what the watchdog found
  communicator.barrier();
  return value == communicator.size() ? 0 : 1;
}

int run(const std::string& fault) {
  watch::Watchdog watchdog;
  const bool short_limit = fault == "lost" || fault == "hanging_abort";
  watch::set_limit(short_limit ? 2 : 20);
  MpiEnvironment environment(&watchdog);
  set_up_log(environment.rank(), environment.size());
  const bool here = environment.rank() == environment.size() - 1;
  try {
    inject_early(fault, here);
    CommOptions options;
    options.backend = Backend::kNccl;
    options.timeout_s = 20;
    const auto communicator = make_communicator(options, environment);
    inject(fault, here);
    return watch::guard([&] { return sum(*communicator); });
  } catch (const Error& error) {
    return watch::fail(error);
  }
}

}  // namespace
}  // namespace resnext

int main(int argc, char** argv) {
  return resnext::run(argc > 1 ? argv[1] : "none");
}
