// Reports of whole, partial and torn runs.
// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "comm/common/error.h"
#include "launcher/report_page.h"
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

TEST_F(ReportTest, SaysHowEachRunStands) {
  const auto rows = make_summary(read_runs(
      {run("done", 4, std::string(kTrain) + kEnd), run("torn", 4, std::string(kTrain) + "{\"ev"),
       run("stopped", 4, std::string(kTrain) + R"({"event":"end","exit_code":75})"),
       run("empty", 4, "")}));
  EXPECT_EQ(rows[1][1], "finished");
  EXPECT_EQ(rows[1][4], "39.50");
  EXPECT_EQ(rows[2][1], "unfinished");
  EXPECT_EQ(rows[3][1], "ended with 75");
  EXPECT_EQ(rows[4][1], "no steps yet");
}

TEST_F(ReportTest, PageHoldsAllItNeeds) {
  const std::string a = run("a", 4, std::string(kTrain) + kEnd);
  const std::string b = run("<b> & 'c'", 8, kTrain);  // as a folder may be named
  ReportTask task{{a, b, run("empty", 1, "")}, folder_ / "out"};
  ASSERT_EQ(execute(task), 0);
  std::string page = test::read_text(folder_ / "out/report.html");
  EXPECT_NE(page.find("&lt;b&gt; &amp; 'c'"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  for (const char* name : {"loss", "step_time"}) {
    const std::string png = test::read_text(folder_.path() / "out" / (std::string(name) + ".png"));
    EXPECT_EQ(png.substr(1, 3), "PNG") << name;
    EXPECT_NE(page.find("<figure id=\"" + std::string(name) + "\">\n<svg"), std::string::npos);
  }
  for (const char* outside : {"<script", "<link", "src=", "@import", "url(http"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  EXPECT_FALSE(fs::exists(folder_ / "out/loss.svg"));
}

TEST_F(ReportTest, NothingToDrawIsStillAPage) {
  ReportTask task{{run("empty", 1, "")}, folder_ / "out"};
  EXPECT_EQ(execute(task), 0);
  EXPECT_NE(test::read_text(folder_ / "out/report.html").find("no steps yet"), std::string::npos);
  EXPECT_THROW(execute(ReportTask{{folder_ / "none"}, ""}), ConfigError);
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
