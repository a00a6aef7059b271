// What a command line consists of, read from the tables that it is parsed with.
//
// Pure functions; throw nothing but std::bad_alloc.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace resnext {

std::vector<std::string> commands_of(const CLI::App& app);
// With their hyphens; options that --help does not list are left out.
std::vector<std::string> options_of(const CLI::App& app);
// The words that an option takes, where it takes only some.
std::vector<std::string> choices_of(const CLI::Option& option);
// As --help says it: of an enumeration the word; empty where it says nothing (nothing, 0, -1).
std::string default_of(const CLI::Option& option);

}  // namespace resnext
