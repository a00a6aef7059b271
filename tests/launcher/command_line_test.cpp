// The launcher's command line: help for people, suggestions, versions.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/command_line.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

LauncherCommand parse(std::vector<const char*> words) {
  words.insert(words.begin(), "resnext_launcher");
  return parse_launcher_command(static_cast<int>(words.size()), words.data());
}

std::string message(const std::vector<const char*>& words) {
  try {
    parse(words);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(LauncherCommandLine, SuggestsTheNearestCommandAndOption) {
  EXPECT_NE(message({"runn", "a.yaml"}).find("did you mean 'run'?"), std::string::npos);
  EXPECT_NE(message({"dcotor"}).find("did you mean 'doctor'?"), std::string::npos);
  EXPECT_NE(message({"run", "a.yaml", "--dry-rn"}).find("did you mean '--dry-run'?"),
            std::string::npos);
  EXPECT_NE(message({"sweep", "s.yaml", "--paralel=3"}).find("did you mean '--parallel'?"),
            std::string::npos);
  EXPECT_NE(message({"xylophone"}).find("see resnext_launcher --help"), std::string::npos);
  EXPECT_NE(message({"sweep"}).find("sweep is required"), std::string::npos);
}

TEST(LauncherCommandLine, HelpIsPlainAndHasTheDefaults) {
  for (const char* command : {"run", "sweep", "report", "scale", "doctor"}) {
    const std::string help = parse({command, "--help"}).help;
    for (const char* notation : {"ENUM", "value in {", "->", "INT:", "NONNEGATIVE", "Excludes"}) {
      EXPECT_EQ(help.find(notation), std::string::npos) << command << ": " << notation;
    }
  }
  const std::string help = parse({"run", "--help"}).help;
  EXPECT_NE(help.find("-n,--ranks N"), std::string::npos) << help;
  EXPECT_EQ(help.find("--requeue TEXT"), std::string::npos) << "a flag takes nothing";
  EXPECT_NE(help.find(" [" + fmt::format("{}", RestartOptions{}.backoff_s) + "]"),
            std::string::npos)
      << help;
}

TEST(LauncherCommandLine, EveryCommandTellsItsVersion) {
  const std::string version = parse({"--version"}).help;
  EXPECT_FALSE(version.empty());
  for (const char* command : {"run", "sweep", "report", "scale", "doctor"}) {
    EXPECT_EQ(parse({command, "--version"}).help, version) << command;
  }
}

TEST(LauncherCommandLine, StatusIsACommandOfSweep) {
  const LauncherCommand command = parse({"sweep", "status", "runs/x"});
  EXPECT_EQ(command.task, Task::kSweepStatus);
  EXPECT_EQ(command.sweep.file, "runs/x");
  EXPECT_EQ(parse({"sweep", "s.yaml", "run.epochs=2"}).task, Task::kSweep);
}

}  // namespace
}  // namespace resnext
