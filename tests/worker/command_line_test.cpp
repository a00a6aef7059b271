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

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(parse({}), ConfigError);
  EXPECT_THROW(parse({"a.yaml", "--fast"}), ConfigError);
  EXPECT_THROW(parse({"a.yaml", "--plan", "--evaluate"}), ConfigError);
}

}  // namespace
}  // namespace resnext
