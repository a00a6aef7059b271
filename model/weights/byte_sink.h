// Where a file's bytes go as they are made, from its begin to its end, in pieces.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace resnext {

using ByteSink = std::function<void(std::span<const std::byte>)>;

}  // namespace resnext
