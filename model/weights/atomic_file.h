// A file that appears under its name only when it is complete: by commit(), which syncs and
// renames.
//
// Owns the descriptor and, until commit(), the temporary file PATH.tmp. Local; one thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>

namespace resnext {

class AtomicFile {
 public:
  // Throws OutputError (path, errno, remedy), as does commit().
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Never throws: the zip writer must be able to finish. The first error is kept for commit().
  void write(const void* data, size_t count) noexcept;
  void commit();

 private:
  void sync_folder() const;

  std::string path_, temporary_;
  int descriptor_ = -1;
  int error_ = 0;
  bool committed_ = false;
};

}  // namespace resnext
