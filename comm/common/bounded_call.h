// A call that may hang, made so that the caller goes on all the same.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

namespace resnext {

// Calls `work` on a thread of its own. False when it has not returned after `seconds`: the thread
// is then left behind, for the end of the process that follows.
bool finishes_within(double seconds, std::function<void()> work) noexcept;

}  // namespace resnext
