// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/command_tree.h"

#include <algorithm>
#include <iterator>
#include <sstream>

namespace resnext {
namespace {

struct Choice {
  std::string word;
  std::string value;  // as CLI11 writes it
};

// Behind the type: "TEXT:{fail,skip}", "ENUM:value in {jpeg->0,raw->1} OR {0,1}".
std::vector<Choice> all_choices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const auto open = type.find('{');
  const auto close = type.find('}');
  if (open == type.npos || close == type.npos) return {};
  std::vector<Choice> choices;
  std::istringstream list(type.substr(open + 1, close - open - 1));
  for (std::string text; std::getline(list, text, ',');) {
    const auto arrow = text.find("->");
    choices.push_back({text.substr(0, arrow), arrow == text.npos ? text : text.substr(arrow + 2)});
  }
  return choices;
}

}  // namespace

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
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  std::vector<std::string> words;
  for (const Choice& choice : all_choices(option)) words.push_back(choice.word);
  return words;
}

std::string default_of(const CLI::Option& option) {
  const std::string value = option.get_default_str();
  for (const Choice& choice : all_choices(option)) {
    if (choice.value == value) return choice.word;
  }
  constexpr const char* kNothing[] = {"", "0", "-1", "[]", "{}", "\"\""};
  const bool flag = option.get_items_expected_max() == 0;
  return flag || std::ranges::find(kNothing, value) != std::end(kNothing) ? "" : value;
}

}  // namespace resnext
