// SPDX-License-Identifier: BSD-3-Clause
#include "worker/command_line.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "resnext_worker");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(CommandLine, TrainsByDefaultAndKeepsTheOrderOfOverrides) {
  const CommandLine line = parse({"a.yaml", "x.y=1", "z=2"});
  EXPECT_EQ(line.action, Action::kTrain);
  EXPECT_EQ(line.config, "a.yaml");
  EXPECT_EQ(line.overrides, (std::vector<std::string>{"x.y=1", "z=2"}));
}

TEST(CommandLine, KnowsTheOtherActions) {
  EXPECT_EQ(parse({"a.yaml", "--evaluate"}).action, Action::kEvaluate);
  EXPECT_EQ(parse({"--plan", "a.yaml"}).action, Action::kPlan);
  EXPECT_EQ(parse({"a.yaml", "--print-config", "a.b=1"}).action, Action::kPrintConfig);
  EXPECT_EQ(parse({"--all-reduce"}).action, Action::kAllReduce);
  EXPECT_EQ(parse({"--help"}).action, Action::kHelp);
  EXPECT_NE(parse({"--help"}).help.find("KEY=VALUE"), std::string::npos);
}

std::string message(const std::vector<const char*>& arguments) {
  try {
    parse(arguments);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(CommandLine, HelpIsPlainAndTellsWhatIsInsteadOfTraining) {
  const std::string help = parse({"--help"}).help;
  for (const char* notation : {"Option Group", "Needs", "Excludes", "TEXT:", "POSITIVE"}) {
    EXPECT_EQ(help.find(notation), std::string::npos) << notation << "\n" << help;
  }
  const auto group = help.find("Instead of training:");
  ASSERT_NE(group, std::string::npos) << help;
  for (const char* action : {"--evaluate", "--plan", "--export FILE", "--classify PATH..."}) {
    const auto at = help.find(std::string("\n  ") + action);
    EXPECT_NE(at, std::string::npos) << action << "\n" << help;
    EXPECT_LT(group, at) << action << "\n" << help;
  }
}

TEST(CommandLine, SuggestsTheNearestOption) {
  EXPECT_NE(message({"a.yaml", "--evalute"}).find("did you mean '--evaluate'?"), std::string::npos);
  EXPECT_NE(message({"a.yaml", "--xylophone"}).find("see resnext_worker --help"),
            std::string::npos);
}

TEST(CommandLine, TakesCountsOfImagesForAPlanOnly) {
  EXPECT_EQ(parse({"a.yaml", "--plan", "--images", "60000,10000"}).image_counts,
            (std::vector<int64_t>{60000, 10000}));
  EXPECT_THROW(parse({"a.yaml", "--images", "60000"}), ConfigError);
  EXPECT_THROW(parse({"a.yaml", "--plan", "--images", "0"}), ConfigError);
}

TEST(CommandLine, TakesOverridesBehindImagesToo) {
  const CommandLine line = parse({"a.yaml", "--classify", "a.jpg", "data.size=32", "b=1.jpg"});
  EXPECT_EQ(line.images, (std::vector<std::string>{"a.jpg", "b=1.jpg"}));
  EXPECT_EQ(line.overrides, (std::vector<std::string>{"data.size=32"}));
}

TEST(CommandLine, AsksForOneThingAtATime) {
  EXPECT_NE(message({"a.yaml", "--plan", "--evaluate"}).find("--evaluate and --plan at once"),
            std::string::npos);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(parse({}), ConfigError);
  EXPECT_THROW(parse({"a.yaml", "--fast"}), ConfigError);
  EXPECT_THROW(parse({"a.yaml", "--plan", "--evaluate"}), ConfigError);
}

}  // namespace
}  // namespace resnext
