// What every communicator must do, whatever its backend: closed forms over ranks.
//
// COLLECTIVE: each rank of the world calls it with its own communicator.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "comm/communicator.h"

namespace resnext::test {

void expect_conformance(Communicator& communicator);

}  // namespace resnext::test
