// What can be read from the folder of a run, whole or torn.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/run_folder.h"

#include <gtest/gtest.h>

#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

TEST(RunFolder, NewestCompleteCheckpointCounts) {
  const test::TemporaryFolder run;
  EXPECT_EQ(newest_checkpoint(run.path()).serial, -1);
  const auto save = [&](const std::string& name, const std::string& manifest) {
    fs::create_directories(run.path() / "checkpoints" / name);
    test::write_text(run.path() / "checkpoints" / name / "manifest.json", manifest);
  };
  for (const char* name :
       {"step-00000050", "step-00000120", "step-00000200.partial-77", "best", "step-", "step-9x"}) {
    save(name, R"({"step": 1})");
  }
  fs::create_directories(run.path() / "checkpoints/step-00000300");
  save("step-00000400", R"({"step": 4)");
  EXPECT_EQ(newest_checkpoint(run.path()).serial, 120) << "without serial numbers steps count";
  EXPECT_EQ(newest_checkpoint(run.path()).step, 120);
  save("step-00000037", R"({"serial": 121})");
  EXPECT_EQ(newest_checkpoint(run.path()).serial, 121);
  EXPECT_EQ(newest_checkpoint(run.path()).step, 37) << "the newest is not the one of most steps";
}

TEST(RunFolder, ReadsMetrics) {
  const test::TemporaryFolder run;
  test::write_text(run / "metrics.jsonl", R"({"event":"start","step":0,"parameters":1234}
{"event":"train","step":10,"epoch":0,"loss":2.5,"lr":0.1}
{"event":"validation","step":10,"epoch":0,"loss":2.0,"top1":40.5}
{"event":"end","step":10,"exit_code":0}
)");
  const RunMetrics metrics = read_metrics(run.path());
  EXPECT_EQ(metrics.start.at("parameters"), 1234);
  EXPECT_EQ(metrics.train.at(10).at("loss"), 2.5);
  EXPECT_EQ(metrics.final_figure("top1"), 40.5);
  EXPECT_EQ(metrics.final_figure("top9"), std::nullopt);
  EXPECT_TRUE(metrics.finished());
}

// Beside those of the weights, as another name.
TEST(RunFolder, ReadsValidationsOfTheAverage) {
  const test::TemporaryFolder run;
  test::write_text(run / "metrics.jsonl", R"({"event":"validation","step":10,"loss":2.0,"top1":40.5}
{"event":"ema_validation","step":10,"loss":1.5,"top1":44.5}
)");
  const RunMetrics metrics = read_metrics(run.path());
  EXPECT_EQ(metrics.final_figure("top1"), 40.5);
  EXPECT_EQ(metrics.final_figure("ema_top1"), 44.5);
  EXPECT_EQ(metrics.final_figure("ema_loss"), 1.5);
}

TEST(RunFolder, TakesTornAndForeignLinesInItsStride) {
  const test::TemporaryFolder run;
  test::write_text(run / "metrics.jsonl", R"({"event":"train","step":1,"loss":3}
not json
[1, 2]
{"event":5}
{"event":"train","step":2,"loss":"x"}
{"event":"train","loss":7}
{"event":"train","step":3,"loss":nul)");
  const RunMetrics metrics = read_metrics(run.path());
  EXPECT_EQ(metrics.train.size(), 2u);
  EXPECT_EQ(metrics.train.at(2).count("loss"), 0u);
  EXPECT_EQ(metrics.unreadable_lines, 4);
  EXPECT_FALSE(metrics.finished());
  EXPECT_FALSE(metrics.exit_code.has_value());
}

TEST(RunFolder, LaterLineOfAStepCounts) {
  const test::TemporaryFolder run;
  test::write_text(run / "metrics.jsonl", R"({"event":"train","step":1,"loss":3}
{"event":"end","step":1,"exit_code":75}
{"event":"start","step":0}
{"event":"train","step":1,"loss":4}
)");
  const RunMetrics metrics = read_metrics(run.path());
  EXPECT_EQ(metrics.train.at(1).at("loss"), 4);
  EXPECT_FALSE(metrics.exit_code.has_value()) << "it runs again";
}

TEST(RunFolder, MissingFolderIsNothing) {
  const RunMetrics metrics = read_metrics("/nonexistent");
  EXPECT_TRUE(metrics.train.empty());
  EXPECT_FALSE(metrics.finished());
}

// A thousand trials of a thousand lines must not be read line by line.
TEST(RunFolder, SamplesManyTrainLinesAndKeepsAllElse) {
  const test::TemporaryFolder run;
  std::string text = R"({"event":"start","step":0,"versions":{"resnext":"0.1.0"}})"
                     "\n";
  for (int step = 1; step <= 1000; ++step) {
    text += R"({"event":"train","step":)" + std::to_string(step) + ",\"loss\":1}\n";
    if (step % 100 == 0) {
      text += R"({"event":"validation","step":)" + std::to_string(step) +
              ",\"top1\":" + std::to_string(step == 300 ? 90 : step / 20) + "}\n";
    }
  }
  text += R"({"event":"end","step":1000,"exit_code":75})"
          "\n";
  text += R"({"event":"start","step":1000})"
          "\n";
  test::write_text(run / "metrics.jsonl", text);
  const RunMetrics metrics = read_metrics(run.path(), 50);
  EXPECT_GE(metrics.train.size(), 50u);
  EXPECT_LE(metrics.train.size(), 52u);
  EXPECT_EQ(metrics.train.begin()->first, 1);
  EXPECT_EQ(metrics.last_step(), 1000);
  EXPECT_EQ(metrics.validation.size(), 10u);
  EXPECT_EQ(metrics.highest_figure("top1"), std::make_pair(90.0, int64_t{300}));
  EXPECT_EQ(metrics.final_figure("top1"), 50);
  ASSERT_EQ(metrics.marks.size(), 3u);
  EXPECT_EQ(metrics.marks[1].exit_code, 75);
  EXPECT_EQ(metrics.marks[2].step, 1000);
}

TEST(RunFolder, KnowsFromTheEndWhetherARunHasFinished) {
  const test::TemporaryFolder run;
  EXPECT_FALSE(has_finished(run.path()));
  std::string text;
  for (int step = 0; step < 1000; ++step) text += "{\"event\":\"train\",\"step\":1}\n";
  const std::string end = R"({"event":"end","exit_code":0})"
                          "\n";
  const auto finished = [&](const std::string& tail) {
    test::write_text(run / "metrics.jsonl", text + tail);
    EXPECT_EQ(has_finished(run.path()), read_metrics(run.path()).finished()) << tail;
    return has_finished(run.path());
  };
  EXPECT_FALSE(finished(""));
  EXPECT_TRUE(finished(end));
  EXPECT_FALSE(finished(R"({"event":"end","exit_code":75})"
                        "\n"));
  EXPECT_FALSE(finished(end + R"({"event":"start","step":5})"
                              "\n"));
  EXPECT_TRUE(finished(end + "{\"ev"));
}

}  // namespace
}  // namespace resnext
