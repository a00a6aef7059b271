// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/bash_completion.h"

#include <spdlog/fmt/fmt.h>

#include "comm/common/command_tree.h"

namespace resnext {
namespace {

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

bool takes_overrides(const CLI::App& app) {
  return app.get_option_no_throw("overrides") != nullptr;
}

// Branches of the case statements for `app`, which is called as `path` (" sweep status").
struct Branches {
  std::string commands;  // which words lead to a command
  std::string words;     // what may follow there
  std::string choices;   // what may follow an option

  void add(const CLI::App& app, const std::string& path) {
    std::vector<std::string> follow = commands_of(app);
    for (const std::string& option : options_of(app)) follow.push_back(option);
    words += fmt::format("    '{}') words='{}' overrides={} ;;\n", path, join(follow),
                         takes_overrides(app) ? "yes" : "");
    for (const CLI::Option* option : app.get_options()) {
      const std::vector<std::string> list = choices_of(*option);
      for (const std::string& name : option->get_lnames()) {
        if (!list.empty()) {
          choices +=
              fmt::format("    '{} --{}') words='{}' overrides='' ;;\n", path, name, join(list));
        }
      }
    }
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      const std::string below = path + " " + command->get_name();
      commands += fmt::format("      '{}') path='{}' ;;\n", below, below);
      add(*command, below);
    }
  }
};

}  // namespace

std::string bash_completion(const CLI::App& app, const std::vector<std::string>& keys) {
  Branches branches;
  branches.add(app, "");
  std::string settings;
  for (const std::string& key : keys) settings += key + "= ";
  return fmt::format(
      R"(# Completion of {0} for bash, made by {0} --completion.
_{0}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} path='' words='' overrides='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${{COMP_WORDS[i]}}" in
{1}    esac
  done
  case "$path" in
{2}  esac
  case "$path ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{3}    *) ;;
  esac
  if [ -n "$word" ] && [ -n "$overrides" ]; then
    words="$words {4}"
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  if [ "${{#COMPREPLY[@]}}" -gt 0 ]; then
    mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -f -- "$word")
  fi
  case ${{COMPREPLY[0]:-}} in *=) compopt -o nospace 2>/dev/null ;; esac
}}
complete -o default -F _{0} {0}
)",
      app.get_name(), branches.commands, branches.words, branches.choices, settings);
}

}  // namespace resnext
