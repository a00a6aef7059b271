// A picture as PNG, in memory. Local; any thread. Throws OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "worker/record/observation.h"

namespace resnext {

std::string to_png(const Picture& picture);

}  // namespace resnext
