// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/exit_meaning.h"

namespace resnext {

std::string_view meaning_of(ExitCode code) {
  switch (code) {
    case ExitCode::kOk:
      return "finished";
    case ExitCode::kConfig:
      return "configuration or usage error";
    case ExitCode::kData:
      return "the data cannot be used";
    case ExitCode::kInternal:
      return "internal error";
    case ExitCode::kOutput:
      return "a file could not be written";
    case ExitCode::kStopped:
      return "stopped on request";
    case ExitCode::kPeerLost:
      return "a rank was lost";
    case ExitCode::kDiverged:
      return "diverged";
  }
  return "";
}

std::string meaning_of(int exit_code) {
  constexpr int kSignal = 128;  // and more: as a shell tells of a signal
  const std::string_view known = meaning_of(static_cast<ExitCode>(exit_code));
  if (!known.empty()) return std::string(known);
  if (exit_code > kSignal) return "killed by signal " + std::to_string(exit_code - kSignal);
  return "exit code " + std::to_string(exit_code);
}

}  // namespace resnext
