// Reports of whole, partial and torn runs.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "launcher/report_data.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrain =
    R"({"event":"train","step":10,"loss":2.5,"lr":0.1,"images_per_second":100,"data_wait_ms":1,)"
    R"("forward_ms":20,"backward_ms":40,"exposed_comm_ms":5,"optimizer_ms":2})"
    "\n"
    R"({"event":"train","step":20,"loss":1.5,"lr":0.1,"images_per_second":120,"data_wait_ms":3,)"
    R"("forward_ms":22,"backward_ms":44,"exposed_comm_ms":6,"optimizer_ms":2})"
    "\n";
constexpr const char* kEnd =
    R"({"event":"validation","step":20,"loss":1.4,"top1":60.5,"top5":90.25})"
    "\n"
    R"({"event":"end","exit_code":0})"
    "\n";

class ReportTest : public testing::Test {
 protected:
  std::string run(const std::string& name, int cardinality, const std::string& metrics) {
    const fs::path folder = folder_.path() / name;
    fs::create_directories(folder);
    test::write_text(folder / "metrics.jsonl",
                     R"({"event":"start","step":0,"parameters":1000,"gmac":0.5,"world_size":2})"
                     "\n" +
                         metrics);
    test::write_text(folder / "config.yaml",
                     "model: {cardinality: " + std::to_string(cardinality) + "}\n");
    return folder.string();
  }
  static const Plot* find(const std::vector<Plot>& plots, const std::string& name) {
    for (const Plot& plot : plots) {
      if (plot.name == name) return &plot;
    }
    return nullptr;
  }
  test::TemporaryFolder folder_;
};

TEST_F(ReportTest, DrawsWhatTheRunsLogged) {
  const auto runs = read_runs(
      {run("a", 4, std::string(kTrain) + kEnd), run("b", 32, std::string(kTrain) + kEnd)});
  const auto plots = make_plots(runs);
  for (const char* name : {"loss", "error", "learning_rate", "images_per_second", "step_time",
                           "cardinality", "parameters"}) {
    EXPECT_NE(find(plots, name), nullptr) << name;
  }
  EXPECT_EQ(find(plots, "error")->series[0].points[0], std::make_pair(20.0, 39.5));
  EXPECT_EQ(find(plots, "cardinality")->series[1].points[0], std::make_pair(32.0, 39.5));
  const Plot& phases = *find(plots, "step_time");
  EXPECT_EQ(phases.groups, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(phases.series[0].points[0].second, 3) << "the first logged step is left out";
  EXPECT_EQ(phases.series[2].points[1].second, 44);
}

TEST_F(ReportTest, OneRunIsNoComparison) {
  const auto plots = make_plots(read_runs({run("a", 4, std::string(kTrain) + kEnd)}));
  EXPECT_EQ(find(plots, "cardinality"), nullptr);
}

nlohmann::json data_of(const std::vector<ReportRun>& runs) {
  return nlohmann::json::parse(report_data(runs, "title", "about"));
}

TEST_F(ReportTest, SaysHowEachRunStands) {
  const auto data = data_of(read_runs(
      {run("done", 4, std::string(kTrain) + kEnd), run("torn", 4, std::string(kTrain) + "{\"ev"),
       run("stopped", 4, std::string(kTrain) + R"({"event":"end","exit_code":75})"),
       run("empty", 4, "")}));
  EXPECT_EQ(data["runs"][0]["state"], "finished");
  EXPECT_EQ(data["runs"][0]["last"]["top1"], 60.5);
  EXPECT_EQ(data["runs"][0]["best"], nlohmann::json({60.5, 20}));
  EXPECT_EQ(data["runs"][1]["state"], "unfinished");
  EXPECT_EQ(data["runs"][2]["state"], "ended with 75");
  EXPECT_EQ(data["runs"][3]["state"], "no steps yet");
}

TEST_F(ReportTest, TellsTheSettingsThatDiffer) {
  EXPECT_EQ(differing_keys(read_runs({run("a", 4, kTrain), run("b", 8, kTrain)})),
            (std::vector<std::string>{"model.cardinality"}));
  EXPECT_TRUE(differing_keys(read_runs({run("a", 4, kTrain), run("b", 4, kTrain)})).empty());
}

TEST_F(ReportTest, ManyRunsAreSampled) {
  std::string lines;
  for (int step = 1; step <= 3000; ++step) {
    lines += "{\"event\":\"train\",\"step\":" + std::to_string(step) + ",\"loss\":1.23456789}\n";
    lines += "{\"event\":\"validation\",\"step\":" + std::to_string(step) + ",\"top1\":50}\n";
  }
  const auto curves = data_of(read_runs({run("a", 4, lines)}))["runs"][0];
  for (const char* curve : {"train", "validation"}) {
    EXPECT_GE(curves[curve]["step"].size(), 1000u) << curve;
    EXPECT_LE(curves[curve]["step"].size(), 1002u) << curve;
    EXPECT_EQ(curves[curve]["step"].back(), 3000) << curve;
  }
  EXPECT_EQ(curves["train"]["loss"][0], 1.2346);
  EXPECT_LE(points_of_a_run(1000), 60u) << "a thousand runs share a page of 5 MB";
}

TEST_F(ReportTest, PageHoldsAllItNeeds) {
  const std::string a = run("a", 4, std::string(kTrain) + kEnd);
  const std::string b = run("</script><b> & 'c'", 8, kTrain);  // as a folder may be named
  ReportTask task{{a, b, run("empty", 1, "")}, folder_ / "out", false};
  ASSERT_EQ(execute(task), 0);
  const std::string page = test::read_text(folder_ / "out/report.html");
  EXPECT_NE(page.find("\\u003c/script>\\u003cb> & 'c'"), std::string::npos);
  EXPECT_EQ(page.find("</script><b>"), std::string::npos);
  EXPECT_NE(page.find("Chart.js v"), std::string::npos);
  EXPECT_NE(page.find("Permission is hereby granted"), std::string::npos) << "its licence";
  for (const char* outside : {"<link", " src=", "@import", "url(http"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  EXPECT_FALSE(fs::exists(folder_ / "out/loss.png"));
  task.pictures = true;
  ASSERT_EQ(execute(task), 0);
  for (const char* name : {"loss", "step_time"}) {
    const std::string png = test::read_text(folder_.path() / "out" / (std::string(name) + ".png"));
    EXPECT_EQ(png.substr(1, 3), "PNG") << name;
  }
}

TEST_F(ReportTest, NothingToDrawIsStillAPage) {
  ReportTask task{{run("empty", 1, "")}, folder_ / "out", true};
  EXPECT_EQ(execute(task), 0);
  EXPECT_NE(test::read_text(folder_ / "out/report.html").find("no steps yet"), std::string::npos);
  EXPECT_THROW(execute(ReportTask{{folder_ / "none"}, "", false}), ConfigError);
}

TEST_F(ReportTest, ParentFolderStandsForTheRunsInIt) {
  run("all/one/same", 1, kTrain);
  run("all/two/same", 2, kTrain);
  run("all/two/other", 2, kTrain);
  fs::create_directories(folder_ / "bare");
  const auto runs = read_runs({folder_ / "all"});
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].name, "one/same");
  EXPECT_EQ(runs[1].name, "other");
  EXPECT_EQ(runs[2].name, "two/same");
  EXPECT_THROW(read_runs({folder_ / "bare"}), ConfigError);
  ASSERT_EQ(execute(ReportTask{{folder_ / "all/one/same", folder_ / "all/two/same/"}, "", false}),
            0);
  EXPECT_TRUE(fs::exists(folder_ / "all/report.html")) << "what both lie in, not the first run's";
  EXPECT_FALSE(fs::exists(folder_ / "all/one/same/report.html"));
}

TEST_F(ReportTest, SweepStandsForItsTrials) {
  run("sweep/one", 1, std::string(kTrain) + kEnd);
  run("sweep/two", 2, "");
  test::write_text(folder_ / "sweep/sweep.json", R"({"sweep":"s","trials":["one","two"]})");
  const auto runs = read_runs({folder_ / "sweep"});
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[1].name, "two");
}

TEST(Plots, QuotesLabels) {
  const Plot plot{"p", "it's", "x", "y", {{"a'b\n; system 'x'", {{1, 2}}, Mark::kLine}}, {}};
  const std::string script = gnuplot_script(plot, "out.png");
  EXPECT_NE(script.find("set title 'it''s'"), std::string::npos);
  EXPECT_NE(script.find("title 'a''b; system ''x'''"), std::string::npos);
}

}  // namespace
}  // namespace resnext
