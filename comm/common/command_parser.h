// What the command lines of all our programs share: plain help with the defaults, --version for
// each command, bash's completion, and the nearest command or option instead of an unknown one.
//
// Local. Includes CLI11, so only command lines include it.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace resnext {

class CommandParser {
 public:
  // Of the program `name`. Options are added to app().
  CommandParser(const std::string& name, const std::string& description);
  CommandParser(const CommandParser&) = delete;

  CLI::App& app() { return app_; }
  // What may stand where an option "overrides" is, for the completion.
  void complete_overrides_with(std::vector<std::string> keys) { keys_ = std::move(keys); }

  // The text that was asked for with --help, --version or --completion; nothing when there is
  // something to do. Throws ConfigError.
  std::optional<std::string> parse(int argc, const char* const* argv);

 private:
  CLI::App app_;
  std::vector<std::string> keys_;
};

}  // namespace resnext
