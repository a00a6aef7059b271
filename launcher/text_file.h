// Small text files: read whole, and written so that a reader sees the old one or the new one.
//
// Local. write_file throws OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

namespace resnext {

// Empty when there is none.
std::string read_file(const std::filesystem::path& path);

// Makes the folder if need be.
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace resnext
