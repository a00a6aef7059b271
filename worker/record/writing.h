// What a file call that fails means where a run writes: OutputError (73) with a remedy.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

#include "comm/common/error.h"
#include "comm/common/file_system.h"

namespace resnext {

// Runs f, which writes `path`. Throws OutputError in place of FileError.
template <class F>
auto writing(const std::filesystem::path& path, F f) {
  try {
    return f();
  } catch (const FileError& error) {
    throw OutputError(path.string(), std::string("cannot be written: ") + error.what(),
                      "free space or correct the permissions, then start the run again");
  }
}

}  // namespace resnext
