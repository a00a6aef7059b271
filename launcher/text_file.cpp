// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "comm/common/error.h"
#include "comm/common/host.h"

namespace resnext {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

namespace {

[[noreturn]] void cannot_write(const fs::path& path) {
  throw OutputError(path.string(), "cannot be written",
                    "free space, correct the permissions, or name another folder");
}

}  // namespace

void append_to_file(const fs::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) cannot_write(path);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (::close(file) != 0 || !written) cannot_write(path);
}

void write_file(const fs::path& path, const std::string& text) {
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  const fs::path partial = path.string() + ".partial-" + process_name();
  std::ofstream stream(partial, std::ios::binary | std::ios::trunc);
  stream << text << std::flush;
  const bool written = static_cast<bool>(stream);
  stream.close();
  if (written) fs::rename(partial, path, error);
  if (written && !error) return;
  cannot_write(path);
}

}  // namespace resnext
