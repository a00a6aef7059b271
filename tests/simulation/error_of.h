// What a file call of a test throws.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include "comm/common/file_system.h"

namespace resnext::test {

// The errno of what f() throws; 0: it threw nothing.
inline int error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const FileError& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace resnext::test
