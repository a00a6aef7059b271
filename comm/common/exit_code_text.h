// What an exit code means, in words for log lines: "a rank was lost". Pure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/common/error.h"

namespace resnext {

inline const char* exit_code_text(ExitCode code) {
  switch (code) {
    case ExitCode::kOk:
      return "finished";
    case ExitCode::kConfig:
      return "the configuration or the command line is wrong";
    case ExitCode::kData:
      return "the data cannot be used";
    case ExitCode::kOutput:
      return "a file could not be written";
    case ExitCode::kStopped:
      return "stopped on request";
    case ExitCode::kPeerLost:
      return "a rank was lost";
    case ExitCode::kDiverged:
      return "diverged";
    default:
      return "an error";
  }
}

}  // namespace resnext
