// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/host.h"

#include <unistd.h>

namespace resnext {

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string process_name() {
  return host_name() + "-" + std::to_string(::getpid());
}

}  // namespace resnext
