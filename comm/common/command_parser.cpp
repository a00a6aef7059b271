// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/command_parser.h"

#include <algorithm>
#include <memory>

#include "comm/common/bash_completion.h"
#include "comm/common/command_tree.h"
#include "comm/common/edit_distance.h"
#include "comm/common/error.h"

namespace resnext {
namespace {

// Types as N, TEXT, a choice or nothing, without the library's own notation for checks and
// enumerations.
class PlainFormatter : public CLI::Formatter {
 public:
  PlainFormatter() { column_width(34); }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_items_expected_max() == 0) return "";
    std::string text = " " + type_of(option);
    if (option->get_expected_max() > 1) text += "...";
    return option->get_positional() && option->get_required() ? "" : text;
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string value = default_of(*option);
    return option->get_description() + (value.empty() ? "" : " [" + value + "]");
  }

 private:
  static std::string type_of(const CLI::Option* option) {
    const std::vector<std::string> choices = choices_of(*option);
    if (!choices.empty()) return CLI::detail::join(choices, "|");
    std::string type = option->get_type_name();
    type = type.substr(0, type.find_first_of(": "));
    if (type == "INT" || type == "UINT" || type == "FLOAT") return "N";
    return type.empty() ? "TEXT" : type;
  }
};

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  const auto found = std::ranges::min_element(
      known, {}, [&](const std::string& name) { return edit_distance(word, name); });
  const int allowed = std::max<int>(2, static_cast<int>(word.size()) / 3);
  return found == known.end() || edit_distance(word, *found) > allowed ? "" : *found;
}

// What the user may have meant: the nearest command where a command must stand and `argv` has
// another word, or the nearest option where it has an unknown one; empty when nothing is near.
std::string did_you_mean(const CLI::App& app, int argc, const char* const* argv) {
  constexpr size_t kLongest = 64;
  const CLI::App* command = &app;
  for (int i = 1; i < argc; ++i) {
    std::string word = std::string(argv[i]).substr(0, kLongest);
    word = word.substr(0, word.find('='));
    const std::vector<std::string> commands = commands_of(*command);
    if (std::ranges::find(commands, word) != commands.end()) {
      command = command->get_subcommand(word);
    } else if (word.starts_with("--")) {
      const std::vector<std::string> options = options_of(*command);
      if (std::ranges::find(options, word) == options.end()) return nearest(word, options);
    } else if (command->get_require_subcommand_min() > 0 && !word.starts_with('-')) {
      return nearest(word, commands);
    }
  }
  return "";
}

// A value that is none of an option's words, without the library's notation.
std::string in_words(const CLI::App& app, const CLI::ValidationError& error) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  const std::string text = error.what();
  const CLI::Option* option = command->get_option_no_throw(text.substr(0, text.find(':')));
  if (option == nullptr || option->results().empty()) return text;
  const std::vector<std::string> choices = choices_of(*option);
  if (choices.empty()) return text;
  return option->get_name() + ": '" + option->results().back() + "' is not one of " +
         CLI::detail::join(choices, ", ");
}

void add_version(CLI::App& app) {
  app.set_version_flag("--version", RESNEXT_VERSION, "print the version and exit");
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    add_version(*command);
  }
}

}  // namespace

CommandParser::CommandParser(const std::string& name, const std::string& description)
    : app_(description, name) {
  app_.formatter(std::make_shared<PlainFormatter>());
  app_.option_defaults()->always_capture_default();
  app_.set_help_flag("-h,--help", "print this and exit");
  app_.add_flag_callback(
      "--completion", [this] { throw CLI::CallForVersion(bash_completion(app_, keys_), 0); },
      "print the completion for bash and exit");
}

std::optional<std::string> CommandParser::parse(int argc, const char* const* argv) {
  add_version(app_);
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return app_.help();
  } catch (const CLI::CallForVersion& text) {
    return std::string(text.what()) + "\n";
  } catch (const CLI::ValidationError& error) {
    throw ConfigError("command line", in_words(app_, error), "see " + app_.get_name() + " --help");
  } catch (const CLI::ParseError& error) {
    const std::string near = did_you_mean(app_, argc, argv);
    throw ConfigError(
        "command line", error.what(),
        near.empty() ? "see " + app_.get_name() + " --help" : "did you mean '" + near + "'?");
  }
  return std::nullopt;
}

}  // namespace resnext
