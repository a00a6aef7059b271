// Training on synthetic images, and resnext_launcher scale with the real worker.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/worker_run.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

const Words kSynthetic = {"data.train=synthetic",     "data.validation=synthetic",
                          "data.synthetic.images=96", "data.synthetic.validation_images=37",
                          "data.synthetic.classes=4", "run.steps=8"};

TEST(Synthetic, TrainsWithoutAFileAndSaysSo) {
  const Workspace work;
  fs::remove(work / "train.h5");
  fs::remove(work / "validation.h5");
  const Result one = work.train(0, "one", kSynthetic);
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_NE(one.err.find("96 images are synthetic, random pixels and labels"), std::string::npos)
      << one.err;
  const Result two = work.train(2, "two", kSynthetic);
  ASSERT_EQ(two.exit_code, 0) << two.err;
  EXPECT_EQ(logged_steps(work / "two"), kStepsPerEpoch);
  // The same images, each once, whatever the number of ranks.
  const auto tally = [&](const std::string& run) {
    std::string last;
    for (const std::string& line : reproducible_lines(work / run)) {
      const auto event = nlohmann::json::parse(line);
      if (event["event"] == "train") last = event["tally"];
    }
    return last;
  };
  EXPECT_EQ(tally("one"), tally("two"));
  EXPECT_NE(tally("one"), "");
}

TEST(Synthetic, NothingRealIsMixedWithIt) {
  const Workspace work;
  ASSERT_EQ(work.train(0, "made", kSynthetic).exit_code, 0);
  for (const char* action : {"--evaluate", "--features=x.h5", "--export=x.pt"}) {
    const Result used = work.train(0, "made", {action});
    EXPECT_EQ(used.exit_code, 64) << used.err;
    EXPECT_NE(used.err.find("was trained on synthetic images"), std::string::npos) << used.err;
  }
  const Result on_real = work.train(0, "made");
  EXPECT_EQ(on_real.exit_code, 65) << on_real.err;
  ASSERT_EQ(work.train(0, "real", {"run.steps=8"}).exit_code, 0);
  const Result on_made = work.train(0, "real", kSynthetic + Words{"run.steps=16"});
  EXPECT_EQ(on_made.exit_code, 65) << on_made.err;
}

TEST(Synthetic, ScaleMeasuresOneAndTwoRanks) {
  const Workspace work;
  const Result result =
      run({"env", "OMP_NUM_THREADS=1", RESNEXT_BIN_DIR "/resnext_launcher", "scale", work.config(),
           "--ranks", "1,2", "--steps", "5", "--warmup", "2", "-o", work / "scale",
           "comm.backend=mpi", "batch.global=0", "batch.per_rank=6", "model.classes=4"},
          2 * kRunTimeout);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(read_text(work / "scale/scale.json"));
  ASSERT_EQ(json["points"].size(), 2u);
  for (const auto& point : json["points"]) {
    EXPECT_GT(point["images_per_second"], 0);
    EXPECT_NEAR(point["images_per_second"].get<double>() * point["step_ms"].get<double>(),
                6000.0 * point["ranks"].get<double>(), 1e-3);
    EXPECT_GT(point["backward_ms"], 0);
  }
  const auto& two = json["points"][1];
  EXPECT_GT(two["exposed_comm_ms"], 0);
  EXPECT_NEAR(two["bus_gb_per_s"].get<double>() * two["all_reduce_25_mib_ms"].get<double>(),
              26.2144, 1e-3)
      << "of two ranks the bus carries each byte once";
  EXPECT_NE(result.out.find("bus GB/s"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace resnext::test
