// Scaling: the model against closed forms and a simulation, the table, and the whole command with a
// shell script in place of resnext_worker.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>
#include <random>

#include "comm/common/buckets.h"
#include "comm/common/error.h"
#include "launcher/scale_model.h"
#include "launcher/scale_prediction.h"
#include "launcher/scale_table.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using test::Result;
using test::Words;

constexpr double kMB = 1e6;

// One rank a host: 100 us and 1 GB/s, where a megabyte takes a millisecond.
Cluster flat(AllReduceKind kind = AllReduceKind::kRing) {
  return {1, {0, 1e9}, {100, 1}, kind};
}

TEST(ScaleModel, ARingTakesTwiceNMinusOneHopsAndBytes) {
  EXPECT_EQ(ring_ms(kMB, 1, flat()), 0);
  EXPECT_NEAR(ring_ms(kMB, 2, flat()), 2 * 0.1 + 1, 1e-12);
  EXPECT_NEAR(ring_ms(4 * kMB, 4, flat()), 6 * 0.1 + 6, 1e-12);
  // Two hosts of four, 1 us and 10 GB/s within: of 14 hops 14 * 2 / 8 are between hosts.
  const Cluster cluster{4, {1, 10}, {100, 1}, AllReduceKind::kRing};
  EXPECT_NEAR(ring_ms(8 * kMB, 8, cluster), 3.5 * 0.1 + 10.5 * 0.001 + 14, 1e-12);
  EXPECT_NEAR(ring_ms(8 * kMB, 4, cluster), 6 * 0.001 + 1.2, 1e-12) << "one host";
}

TEST(ScaleModel, ATreeTakesTheLogarithmOfTheHosts) {
  EXPECT_EQ(tree_ms(kMB, 1, flat()), 0);
  EXPECT_NEAR(tree_ms(kMB, 2, flat()), 2 * 0.1 + 2, 1e-12);
  EXPECT_NEAR(tree_ms(kMB, 1024, flat()), 20 * 0.1 + 2, 1e-12);
  const Cluster cluster{8, {1, 10}, {100, 1}, AllReduceKind::kTree};
  EXPECT_NEAR(tree_ms(kMB, 32, cluster), 2 * (7 * 0.001 + 2 * 0.1) + 2, 1e-12);
}

TEST(ScaleModel, TheFasterOfBothIsTaken) {
  const Cluster cluster = flat(AllReduceKind::kFastest);
  EXPECT_EQ(all_reduce_ms(1000, 64, cluster), tree_ms(1000, 64, cluster));
  EXPECT_EQ(all_reduce_ms(1000 * kMB, 4, cluster), ring_ms(1000 * kMB, 4, cluster));
}

TEST(ScaleModel, BusBandwidthIsTheLinksWhereLatencyIsNothing) {
  for (const int ranks : {2, 3, 8}) {
    const Cluster cluster{1, {0, 1}, {0, 2.5}, AllReduceKind::kRing};
    EXPECT_NEAR(bus_gb_per_s(kMB, ranks, ring_ms(kMB, ranks, cluster)), 2.5, 1e-12);
  }
}

// Of two 1 / sqrt(pi), of three 1.5 / sqrt(pi), of five the tables' 1.16296 (David and Nagaraja).
TEST(ScaleModel, ExpectedMaximumOfNormals) {
  const double root = std::sqrt(std::numbers::pi);
  EXPECT_EQ(expected_maximum(1), 0);
  EXPECT_NEAR(expected_maximum(2), 1 / root, 1e-9);
  EXPECT_NEAR(expected_maximum(3), 1.5 / root, 1e-9);
  EXPECT_NEAR(expected_maximum(5), 1.16296, 1e-5);
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  constexpr int kDraws = 2000, kRanks = 1024;
  double sum = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    double highest = -100;
    for (int i = 0; i < kRanks; ++i) highest = std::max(highest, normal(random));
    sum += highest / kDraws;
  }
  EXPECT_NEAR(expected_maximum(kRanks), sum, 0.04);  // five deviations of the mean
}

TEST(ScaleModel, BucketsCloseBeforeTheirLimit) {
  EXPECT_EQ(assign_buckets({}, 10, 10), std::vector<size_t>{});
  EXPECT_EQ(assign_buckets({6, 4, 1, 20, 25, 5}, 10, 25), (std::vector<size_t>{0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(padded_bytes(1), 64);
  EXPECT_EQ(padded_bytes(128), 128);
}

// Backward takes 10 ms; three buckets of a megabyte are ready at 2, 4 and 10 ms.
ComputeProfile profile() {
  ComputeProfile p;
  p.wait_ms = 0.5;
  p.forward_ms = 5;
  p.backward_ms = 10;
  p.optimizer_ms = 1;
  for (const double ready : {2.0, 4.0, 10.0}) p.gradients.push_back({ready, 1'000'000});
  return p;
}

TEST(ScaleModel, SumsHideBehindBackwardUntilTheLast) {
  const BucketLimits each{1'000'000, 1'000'000};
  const PredictedStep alone = predict_step(profile(), each, 1, flat());
  EXPECT_NEAR(alone.step_ms, 16.5, 1e-12);
  EXPECT_EQ(alone.exposed_ms, 0);
  // 1.2 ms each: two are hidden, the third is not.
  const PredictedStep two = predict_step(profile(), each, 2, flat());
  EXPECT_NEAR(two.communication_ms, 3 * 1.2 + 0.2, 1e-12) << "with the statistics' latency";
  EXPECT_NEAR(two.exposed_ms, 1.2, 1e-12);
  EXPECT_NEAR(two.step_ms, 17.7, 1e-12);
  // A link of 0.1 GB/s: 10.2 ms each, one after another from 2 ms on.
  const Cluster slow{1, {0, 1e9}, {100, 0.1}, AllReduceKind::kRing};
  EXPECT_NEAR(predict_step(profile(), each, 2, slow).exposed_ms, 2 + 3 * 10.2 - 10, 1e-12);
  // All in one bucket: nothing before the last gradient.
  EXPECT_NEAR(predict_step(profile(), {4'000'000, 4'000'000}, 2, slow).exposed_ms, 30.2, 1e-12);
  EXPECT_NEAR(predict_step(profile(), {4'000'000, 4'000'000, 0.5}, 2, slow).exposed_ms, 15.2,
              1e-12);
}

TEST(ScaleModel, StatisticsGoFirst) {
  ComputeProfile p = profile();
  p.statistics_bytes = 5'000'000;  // 5.2 ms, when the first bucket is ready at 2 and the next at 4
  p.gradients.back().ready_ms = 4;
  const PredictedStep step = predict_step(p, {1'000'000, 1'000'000}, 2, flat());
  EXPECT_NEAR(step.communication_ms, 5.2 + 3 * 1.2, 1e-12);
  EXPECT_EQ(step.exposed_ms, 0);
  p.statistics_bytes = 8'000'000;
  EXPECT_NEAR(predict_step(p, {1'000'000, 1'000'000}, 2, flat()).exposed_ms, 8.2 + 3.6 - 10, 1e-12);
}

TEST(ScaleModel, TheSlowestRankIsWaitedFor) {
  ComputeProfile p = profile();
  p.spread = 0.1;
  p.gradients.clear();
  const PredictedStep step = predict_step(p, {1, 1}, 2, {1, {0, 1}, {0, 1e9}, {}});
  EXPECT_NEAR(step.straggling_ms, 15 * 0.1 / std::sqrt(std::numbers::pi), 1e-9);
  EXPECT_NEAR(step.step_ms, 16.5 + step.straggling_ms, 1e-9);
}

// Against rates that make each layer's time its multiply-adds.
TEST(ScalePrediction, ComputesWhatThePlanSays) {
  RunConfig config;
  config.model.classes = 1000;
  config.batch.per_rank = 4;
  PredictionOptions options;
  options.tflops = 1;
  options.memory_gb_per_s = 1e9;
  options.spread_percent = 0;
  const ComputeProfile p = profile_of(config, 4, options);
  const double gmac = 4 * 4.2308;  // ResNeXt-50 32x4d at 224 px: torchvision's 4.23
  EXPECT_NEAR(p.forward_ms, 2 * gmac, 0.002 * gmac);
  EXPECT_NEAR(p.backward_ms, 4 * gmac, 0.08 * gmac) << "but the images' gradient";
  EXPECT_EQ(p.gradients.size(), 161u);
  int64_t bytes = 0;
  for (const GradientTime& gradient : p.gradients) bytes += gradient.bytes;
  EXPECT_NEAR(static_cast<double>(bytes), 4 * 25'028'904.0, 161 * 64);
  EXPECT_EQ(p.gradients.back().ready_ms, p.backward_ms);
  EXPECT_TRUE(std::ranges::is_sorted(p.gradients, {}, &GradientTime::ready_ms));
  // Mean and variance of each BN: the stem's, and of each stage its blocks' and the projection's.
  const int64_t channels =
      64 + (3 * 512 + 256) + (4 * 1024 + 512) + (6 * 2048 + 1024) + (3 * 4096 + 2048);
  EXPECT_EQ(p.statistics_bytes, 2 * 4 * channels);
}

TEST(ScalePrediction, AMeasuredRankSaysHowLongAndThePlanInWhichOrder) {
  test::TemporaryFolder folder;
  ScalePoint measured;
  measured.ranks = 1;
  measured.forward_ms = 30;
  measured.backward_ms = 60;
  measured.optimizer_ms = 2;
  measured.data_wait_ms = 1;
  test::write_text(folder / "scale.json",
                   nlohmann::ordered_json{{"points", to_json({measured})}}.dump());
  RunConfig config;
  config.model.classes = 10;
  config.batch.accumulation = 2;
  PredictionOptions options;
  options.from = folder / "scale.json";
  const ComputeProfile p = profile_of(config, 32, options);
  EXPECT_NEAR(p.forward_ms + p.backward_ms, 90, 1e-9);
  EXPECT_NEAR(p.backward_ms, 30, 1e-9) << "of the last micro-batch";
  EXPECT_NEAR(p.gradients.back().ready_ms, 30, 1e-9);
  EXPECT_EQ(p.wait_ms, 1);
  EXPECT_EQ(p.optimizer_ms, 2);
  options.from = folder / "none.json";
  EXPECT_THROW(profile_of(config, 32, options), ConfigError);
  measured.ranks = 2;
  test::write_text(folder / "none.json",
                   nlohmann::ordered_json{{"points", to_json({measured})}}.dump());
  EXPECT_THROW(profile_of(config, 32, options), ConfigError);
}

TEST(ScalePrediction, EfficiencyIsAgainstOneRankAndFalls) {
  RunConfig config;
  config.model.classes = 1000;
  config.batch.per_rank = 128;
  config.precision.compute = Compute::kBf16;
  const std::vector<Prediction> p = predict(config, {8, 1, 1024}, {});
  EXPECT_NEAR(p[1].efficiency, 100, 1e-9);
  EXPECT_LT(p[0].efficiency, 100);
  EXPECT_LT(p[2].efficiency, p[0].efficiency);
  EXPECT_NEAR(p[2].images_per_second, 1024 * 128 * 1000 / p[2].step.step_ms, 1e-6);
}

// ---- measuring ----------------------------------------------------------------------------------
RunMetrics metrics(const std::vector<double>& rates) {
  RunMetrics made;
  made.start["global_batch"] = 64;
  int64_t step = 0;
  for (const double rate : rates) {
    made.train[step += 10] = {
        {"images_per_second", rate}, {"backward_ms", rate}, {"exposed_comm_ms", 2}};
  }
  return made;
}

TEST(ScaleTable, MediansOfTheLinesThatCount) {
  const ScalePoint point = measured_point(metrics({1, 640, 1280, 320}), 2, 10);
  EXPECT_EQ(point.ranks, 2);
  EXPECT_NEAR(point.step_ms, 100, 1e-9);
  EXPECT_NEAR(point.images_per_second, 640, 1e-9);
  EXPECT_EQ(point.backward_ms, 640);
  EXPECT_EQ(point.exposed_comm_ms, 2);
  // Of 100, 50 and 200 ms: mean 350 / 3, variance 17500 / 3.
  EXPECT_NEAR(point.spread, std::sqrt(17500.0 / 3) / (350.0 / 3), 1e-9);
  EXPECT_THROW(measured_point(metrics({1}), 2, 10), ConfigError);
}

TEST(ScaleTable, EfficiencyAndBusBandwidth) {
  ScalePoint one = measured_point(metrics({640}), 1, 0);
  ScalePoint four = measured_point(metrics({1920}), 4, 0);
  EXPECT_NEAR(efficiency(four, one), 75, 1e-9);
  four.all_reduce_ms = 26.2144;  // 1 GB/s of 25 MiB; on the bus 2 * 3 / 4 of it
  const std::vector<Row> rows = to_rows(std::vector{one, four});
  EXPECT_EQ(rows[2][0], "4");
  EXPECT_EQ(rows[2][2], "75.0");
  EXPECT_EQ(rows[2].back(), "1.50");
  EXPECT_EQ(rows[1].back(), "-");
  const std::vector<ScalePoint> again = to_scale_points(to_json({one, four}));
  EXPECT_EQ(to_json(again), to_json({one, four}));
}

TEST(ScaleTable, TheSumIsFoundAmongOtherLines) {
  EXPECT_EQ(all_reduce_ms_of("12:00:00 warn x\n{\"bytes\":8192,\"ms\":1.0}\n"
                             "{\"bytes\":26214400,\"ms\":3.5}\n"),
            3.5);
  EXPECT_EQ(all_reduce_ms_of("{\"bytes\":8192,\"ms\":1.0}\nnull\n"), 0);
}

// Writes what the worker does: 100 img/s a rank, whatever the lines before say.
constexpr const char* kWorker = R"sh(#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
for word; do
  case $word in
    run.output=*) out=${word#*=} ;;
    run.steps=*) steps=${word#*=} ;;
    log.every_steps=*) every=${word#*=} ;;
    --all-reduce) echo '{"bytes":26214400,"ms":52.4288}'; exit 0 ;;
  esac
done
ranks=${OMPI_COMM_WORLD_SIZE:-1}
[ -e "$here/fail-$ranks" ] && exit 77
[ "${OMPI_COMM_WORLD_RANK:-0}" = 0 ] || exit 0
mkdir -p "$out/checkpoints"
echo "{\"event\":\"start\",\"global_batch\":$((ranks * 10))}" > "$out/metrics.jsonl"
step=$every
while [ "$step" -le "$steps" ]; do
  echo "{\"event\":\"train\",\"step\":$step,\"images_per_second\":$((ranks * 100))}" >> "$out/metrics.jsonl"
  step=$((step + every))
done
echo '{"event":"end","exit_code":0}' >> "$out/metrics.jsonl"
)sh";

class ScaleCommand : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy_file(fs::path(RESNEXT_BIN_DIR).parent_path() / "libexec/resnext_launcher_program",
                  folder_ / "resnext_launcher");
    test::write_text(folder_ / "resnext_worker", kWorker);
    fs::permissions(folder_ / "resnext_worker", fs::perms::owner_all);
    test::write_text(folder_ / "base.yaml", "run: {output: " + (folder_ / "run") +
                                                "}\ndata: {labels: y}\ncomm: {backend: mpi}\n");
  }
  Result scale(const Words& more) {
    Words words = {folder_ / "resnext_launcher", "scale", folder_ / "base.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return test::run(words, 50);
  }
  std::string calls() const { return test::read_text(folder_ / "calls"); }

  test::TemporaryFolder folder_;
};

TEST_F(ScaleCommand, MeasuresEachNumberOfRanksOnce) {
  const Result result = scale({"-o", folder_ / "out", "--ranks", "2,1,2", "--steps", "10",
                               "--warmup", "3", "optimizer.momentum=0.5"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(test::read_text(folder_ / "out/scale.json"));
  ASSERT_EQ(json["points"].size(), 2u);
  EXPECT_EQ(json["points"][1]["ranks"], 2);
  EXPECT_EQ(json["points"][1]["images_per_second"], 200);
  EXPECT_EQ(json["points"][1]["efficiency_percent"], 100);
  EXPECT_EQ(json["points"][1]["bus_gb_per_s"], 0.5);
  EXPECT_NE(result.out.find("weak scaling: 32 images a step and rank"), std::string::npos);
  EXPECT_NE(calls().find("data.train=synthetic"), std::string::npos);
  EXPECT_NE(calls().find("run.steps=14"), std::string::npos) << "warm-up in whole log lines";
  EXPECT_NE(calls().find("optimizer.momentum=0.5"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "out/ranks-1/checkpoints"));
  const Result again = scale({"-o", folder_ / "out", "--ranks", "1,2"});
  EXPECT_EQ(again.exit_code, 64);
  EXPECT_NE(again.err.find("holds an earlier measurement"), std::string::npos) << again.err;
}

TEST_F(ScaleCommand, RealDataAreTakenWhereTheyAreNamed) {
  const Result result =
      scale({"--ranks", "1", "--steps", "5", "--json", "data.train=a.h5", "batch.global=64"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(calls().find("synthetic"), std::string::npos);
  EXPECT_EQ(calls().find("data.recipe"), std::string::npos);
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["scaling"], "strong scaling: 64 images a step in all");
  EXPECT_FALSE(fs::exists(folder_ / "run")) << "the run's own folder";
}

TEST_F(ScaleCommand, ARunThatFailsIsTheEndButWhatWasMeasuredIsTold) {
  test::write_text(folder_ / "fail-2", "");
  const Result result = scale({"-o", folder_ / "out", "--ranks", "1,2", "--steps", "5"});
  EXPECT_EQ(result.exit_code, 77) << result.err;
  EXPECT_NE(result.out.find("efficiency"), std::string::npos) << result.out;
  EXPECT_TRUE(fs::exists(folder_ / "out/scale.json"));
}

TEST_F(ScaleCommand, NothingStartsWhereOneOfThemCannot) {
  const Result result = scale({"--ranks", "1,3", "batch.global=64"});
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_NE(result.err.find("64 cannot be split evenly over 3 ranks"), std::string::npos)
      << result.err;
  EXPECT_EQ(calls(), "");
  EXPECT_EQ(scale({"--ranks", "0"}).exit_code, 64);
  EXPECT_EQ(scale({"--ranks", "two"}).exit_code, 64);
  EXPECT_EQ(scale({"--latency", "3"}).exit_code, 64) << "of --predict alone";
}

TEST_F(ScaleCommand, PredictsWithoutStartingAnything) {
  const Result result = scale({"--predict", "--ranks", "1,1024", "--latency", "20"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("predicted, not measured"), std::string::npos);
  EXPECT_NE(result.out.find("\n1024 "), std::string::npos) << result.out;
  EXPECT_EQ(calls(), "");
}

}  // namespace
}  // namespace resnext
