// The launcher's command line: help for people, suggestions, versions.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/command_line.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"
#include "tests/support/process.h"

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
  EXPECT_NE(help.find("--launcher auto|mpirun|srun"), std::string::npos) << help;
  EXPECT_NE(help.find("else mpirun [auto]"), std::string::npos) << "the word, not its number\n"
                                                                << help;
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

// What bash offers after `words`, the last of which is being typed.
std::string offered(const std::string& words) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "completion", parse({"--completion"}).help);
  test::write_text(folder / "conf.yaml", "");
  const std::string script = "cd '" + folder.path().string() +
                             "'; . ./completion; COMP_WORDS=(resnext_launcher " + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _resnext_launcher; "
                             "printf '%s ' \"${COMPREPLY[@]}\"";
  const test::Result result = test::run({"bash", "--norc", "-c", script}, 30);
  EXPECT_EQ(result.err, "");
  return result.out;
}

TEST(LauncherCommandLine, CompletionKnowsCommandsOptionsChoicesAndKeys) {
  EXPECT_EQ(offered("sw"), "sweep ");
  EXPECT_EQ(offered("run --dry"), "--dry-run ");
  EXPECT_EQ(offered("sweep st"), "status ");
  EXPECT_EQ(offered("run --launcher m"), "mpirun ");
  EXPECT_EQ(offered("run a.yaml optimizer.base_l"), "optimizer.base_lr= ");
  EXPECT_EQ(offered("report optimizer.base_l"), " ") << "takes no keys";
  EXPECT_NE(offered("run co").find("comm.backend= "), std::string::npos);
  EXPECT_NE(offered("run co").find("conf.yaml "), std::string::npos) << "and files";
  EXPECT_EQ(offered("doctor --alo"), " ") << "not for people";
}

TEST(LauncherCommandLine, StatusIsACommandOfSweep) {
  const LauncherCommand command = parse({"sweep", "status", "runs/x"});
  EXPECT_EQ(command.task, Task::kSweepStatus);
  EXPECT_EQ(command.sweep.file, "runs/x");
  EXPECT_EQ(parse({"sweep", "s.yaml", "run.epochs=2"}).task, Task::kSweep);
}

}  // namespace
}  // namespace resnext
