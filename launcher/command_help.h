// Help and suggestions for the launcher's command line.
//
// Pure functions; throw nothing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace resnext {

// Types as N, TEXT or nothing, without the library's own notation for checks and enumerations, and
// the defaults that options have.
std::shared_ptr<CLI::FormatterBase> plain_help();

// What the user may have meant: the nearest command where `argv` has none of `app`, or the nearest
// option where it has an unknown one; empty when nothing is near.
std::string did_you_mean(const CLI::App& app, int argc, const char* const* argv);

}  // namespace resnext
