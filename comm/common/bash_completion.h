// A program's completion for bash, made from the tables that its command line is parsed with.
//
// A pure function.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace resnext {

// A script that bash-completion loads, or the user's ~/.bashrc sources. Commands, options, words
// that an option may have, files, and where a command has the option "overrides" the `keys` with =.
std::string bash_completion(const CLI::App& app, const std::vector<std::string>& keys);

}  // namespace resnext
