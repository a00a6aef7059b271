// Names of this host and process. Local; thread-safe.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace resnext {

std::string host_name();

// "HOST-PID": no other process on any host that shares files with this one has it.
std::string process_name();

}  // namespace resnext
