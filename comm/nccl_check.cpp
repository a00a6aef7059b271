// SPDX-License-Identifier: BSD-3-Clause
#include "comm/nccl_check.h"

#include <spdlog/fmt/fmt.h>

#include <string_view>

#include "comm/common/error.h"

namespace resnext {
namespace {

std::string_view remedy_for(ncclResult_t result) {
  switch (result) {
    case ncclUnhandledCudaError:
      return "look for Xid lines of the driver in dmesg, and run again with NCCL_DEBUG=INFO";
    case ncclSystemError:
      return "check the network interface (NCCL_SOCKET_IFNAME), the room in /dev/shm and the limit "
             "of open files; NCCL_DEBUG=INFO says more";
    case ncclInvalidArgument:
    case ncclInvalidUsage:
      return "check that every rank runs the same program and configuration, each on a GPU of its "
             "own; NCCL_DEBUG=WARN names the argument";
    case ncclRemoteError:
      return "see the messages of the other ranks; one has probably died. Start again from the "
             "last "
             "checkpoint";
    default:
      return "start again from the last checkpoint, with NCCL_DEBUG=INFO to learn more";
  }
}

}  // namespace

void check_nccl(ncclResult_t result, const char* call, ncclComm_t comm) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const char* last = ncclGetLastError(comm);
  throw CommError(call,
                  fmt::format("{}{}{}", ncclGetErrorString(result),
                              last && *last ? "; NCCL's last error: " : "", last ? last : ""),
                  remedy_for(result));
}

int check_nccl_version() {
  int version = 0;
  check_nccl(ncclGetVersion(&version), "ncclGetVersion", nullptr);
  const int major = version >= 10000 ? version / 10000 : version / 1000;  // before 2.9: 2804
  if (major != NCCL_MAJOR) {
    throw ConfigError("NCCL",
                      fmt::format("version {} was loaded (code {}), but this program was built for "
                                  "version {}.{}",
                                  major, version, NCCL_MAJOR, NCCL_MINOR),
                      fmt::format("put the folder of libnccl.so.{} first in LD_LIBRARY_PATH, or "
                                  "build the program again",
                                  NCCL_MAJOR));
  }
  return version;
}

}  // namespace resnext
