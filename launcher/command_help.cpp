// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/command_help.h"

#include <algorithm>
#include <vector>

#include "configs/key_suggestion.h"

namespace resnext {
namespace {

class PlainFormatter : public CLI::Formatter {
 public:
  PlainFormatter() { column_width(30); }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_items_expected_max() == 0) return "";
    std::string type = option->get_type_name();
    type = type.substr(0, type.find_first_of(": "));
    std::string text = type == "INT" || type == "UINT" || type == "FLOAT" ? " N" : " TEXT";
    if (option->get_expected_max() > 1) text += "...";
    return option->get_positional() && option->get_required() ? "" : text;
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string value = option->get_default_str();
    const bool says_nothing = value.empty() || value == "0" || value == "-1" || value == "[]" ||
                              value == "\"\"" || option->get_items_expected_max() == 0;
    return option->get_description() + (says_nothing ? "" : " [" + value + "]");
  }
};

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  const auto found = std::ranges::min_element(
      known, {}, [&](const std::string& name) { return edit_distance(word, name); });
  const int allowed = std::max<int>(2, static_cast<int>(word.size()) / 3);
  return found == known.end() || edit_distance(word, *found) > allowed ? "" : *found;
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

}  // namespace

std::shared_ptr<CLI::FormatterBase> plain_help() {
  return std::make_shared<PlainFormatter>();
}

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
    } else if (command == &app && !word.starts_with('-')) {
      return nearest(word, commands);
    }
  }
  return "";
}

}  // namespace resnext
