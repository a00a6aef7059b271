// Small text files: read whole, and written so that a reader sees the old one or the new one.
//
// Local. Writing throws OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

namespace resnext {

// Empty when there is none.
std::string read_file(const std::filesystem::path& path);

// One write at the end of the file, which may be several processes': a whole line, or an error.
void append_to_file(const std::filesystem::path& path, const std::string& text);

// Makes the folder if need be.
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace resnext
