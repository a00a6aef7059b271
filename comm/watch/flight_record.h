// What a rank did last, as a file to be read after a failure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include "comm/watch/board.h"
#include "comm/watch/failures.h"

namespace resnext::watch {

// A JSON object: who the rank is, where it stands, its own failure, the first cause of the job and
// its last changes of phase. Times in seconds before now.
std::string flight_record(const Slot& slot, const std::string& host,
                          const std::optional<Cause>& cause);

// FOLDER/rank-0003.json; the folder is made, its parent is not. Whatever goes wrong is ignored.
void write_flight_record(const std::string& folder, int rank, const std::string& record) noexcept;

}  // namespace resnext::watch
