// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"

namespace resnext {
namespace {

std::string join(std::string_view where, std::string_view what, std::string_view remedy) {
  std::string line;
  if (!where.empty()) line.append(where).append(": ");
  line.append(what);
  if (!remedy.empty()) line.append("; ").append(remedy);
  return line;
}

}  // namespace

Error::Error(ExitCode exit_code, std::string_view where, std::string_view what,
             std::string_view remedy)
    : std::runtime_error(join(where, what, remedy)), exit_code_(exit_code) {}

}  // namespace resnext
