// Log lines for people, through spdlog: rank 0 speaks, other ranks only warn.
//
// Use spdlog::info/warn/error directly; this header only sets them up. Thread-safe after
// set_up_log(). Lines go to standard error, so that standard output stays for results.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

// Local. Rank 0 of `world_size` prints from level info on, the others from warning on, with their
// rank in front when there is more than one.
void set_up_log(int rank, int world_size);

}  // namespace resnext
