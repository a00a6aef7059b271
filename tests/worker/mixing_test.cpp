// Mixup, CutMix and the losses of soft targets: draws by their laws, values against torchvision's
// and PyTorch's (golden/mixing.json).
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/mixing.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "worker/step/criterion.h"

namespace resnext {
namespace {

using Numbers = std::vector<double>;

const nlohmann::json& golden() {
  static const auto json = [] {
    std::ifstream file(std::string(RESNEXT_SOURCE_DIR) + "/tests/worker/golden/mixing.json");
    return nlohmann::json::parse(file);
  }();
  return json;
}

MixOptions options_of(double mixup, double cutmix) {
  MixOptions options;
  options.mixup = mixup;
  options.cutmix = cutmix;
  return options;
}

// ---- laws ---------------------------------------------------------------------------------------

// Share of Beta(a, a) below x: the power series of the incomplete beta function (Abramowitz and
// Stegun 26.5.4's integrand, expanded), from the nearer end.
double beta_cdf(double x, double a) {
  if (x > 0.5) return 1 - beta_cdf(1 - x, a);
  double term = 1, sum = 1 / a;
  for (int n = 1; n < 200; ++n) {
    term *= (n - a) / n * x;
    sum += term / (a + n);
  }
  return std::pow(x, a) * sum * std::exp(std::lgamma(2 * a) - 2 * std::lgamma(a));
}

// Kolmogorov and Smirnov's distance times the root of the number: above 1.95 in 1 of 1,000.
double distance(Numbers values, double a) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = beta_cdf(values[i], a);
    largest = std::max({largest, std::abs(expected - static_cast<double>(i) / n),
                        std::abs(expected - static_cast<double>(i + 1) / n)});
  }
  return largest * std::sqrt(n);
}

constexpr int64_t kDraws = 20'000;

TEST(Mixing, MixupsLambdaIsOfTheBetaDistribution) {
  for (const double a : {0.2, 0.3, 0.8, 1.0, 2.0}) {
    Numbers lambdas;
    for (int64_t i = 0; i < kDraws; ++i) {
      const MixDraw draw = draw_mix(options_of(a, 0), 3, {i / 100, i % 100 * 64}, 32);
      ASSERT_EQ(draw.right, 0);
      lambdas.push_back(draw.lambda);
    }
    EXPECT_LT(distance(lambdas, a), 1.95) << a;
    EXPECT_GT(distance(lambdas, 1.3 * a), 1.95) << a;  // it can tell
  }
}

// A box that is not cut off has the sides of its lambda, and its centre is anywhere.
TEST(Mixing, CutMixsBoxIsOfTheBetaDistributionAndAnywhere) {
  constexpr int64_t kSize = 10'000;
  Numbers lambdas, centres;
  for (int64_t i = 0; i < kDraws; ++i) {
    const MixDraw draw = draw_mix(options_of(0, 1), 4, {7, i}, kSize);
    const auto area = static_cast<double>((draw.right - draw.left) * (draw.bottom - draw.top));
    ASSERT_DOUBLE_EQ(draw.lambda, 1 - area / (kSize * kSize));
    const auto whole = [&](int64_t low, int64_t high) { return low > 0 && high < kSize; };
    if (whole(draw.left, draw.right)) {
      ASSERT_EQ((draw.right - draw.left) % 2, 0);
      centres.push_back(static_cast<double>(draw.left + draw.right) / 2 / kSize);
    }
    const int64_t side = std::max(draw.right - draw.left, draw.bottom - draw.top);
    if (whole(draw.left, draw.right) || whole(draw.top, draw.bottom)) {
      const double share = static_cast<double>(side) / kSize;
      lambdas.push_back(1 - share * share);
    }
  }
  // Of Beta(1, 1) sides are s = sqrt(1 - lambda), of density 2 s; a box fits one way or the other
  // with 1 - s^2, so that lambda, among those that do, has the density 2 lambda.
  std::ranges::transform(lambdas, lambdas.begin(), [](double lambda) { return lambda * lambda; });
  EXPECT_GT(lambdas.size(), 5000u);
  EXPECT_LT(distance(lambdas, 1), 1.95);
  // The centre c fits with the probability that s < 2 min(c, 1 - c): that squared, of density.
  std::ranges::transform(centres, centres.begin(), [](double c) {
    return c < 0.5 ? 4 * std::pow(c, 3) : 1 - 4 * std::pow(1 - c, 3);
  });
  EXPECT_LT(distance(centres, 1), 1.95);
}

TEST(Mixing, IsDoneAsOftenAsAsked) {
  MixOptions options = options_of(0.2, 1);
  options.probability = 0.75;
  options.cutmix_share = 0.3;
  int64_t none = 0, cut = 0;
  for (int64_t i = 0; i < kDraws; ++i) {
    const MixDraw draw = draw_mix(options, 5, {2, 8 * i}, 10'000);
    none += draw == MixDraw{} ? 1 : 0;
    cut += draw.right > draw.left ? 1 : 0;
  }
  const auto near = [](int64_t count, double share) {
    const double deviation = std::sqrt(share * (1 - share) / kDraws);
    return std::abs(static_cast<double>(count) / kDraws - share) < 4 * deviation;
  };
  EXPECT_TRUE(near(none, 0.25)) << none;
  EXPECT_TRUE(near(cut, 0.75 * 0.3)) << cut;
}

// Seed, epoch and place each count, and nothing else does.
TEST(Mixing, IsKeyedByThePlace) {
  std::set<double> lambdas;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      for (int64_t images = 0; images < 4; ++images) {
        const MixDraw draw = draw_mix(options_of(1, 0), seed, {epoch, images * 16}, 32);
        EXPECT_EQ(draw, draw_mix(options_of(1, 0), seed, {epoch, images * 16}, 32));
        lambdas.insert(draw.lambda);
      }
    }
  }
  EXPECT_EQ(lambdas.size(), 64u);
}

TEST(Mixing, BoxesAreTorchvisions) {
  ASSERT_EQ(golden().at("boxes").size(), 60u);
  for (const Numbers box : golden().at("boxes")) {
    const auto whole = [&](size_t i) { return static_cast<int64_t>(box[i]); };
    const MixDraw draw = box_around(whole(1), whole(2), box[3], whole(0));
    EXPECT_EQ(draw, (MixDraw{box[8], whole(4), whole(5), whole(6), whole(7)})) << box[0];
  }
}

// ---- pixels and targets -------------------------------------------------------------------------

TEST(Mixing, PixelsAndTargetsAreTorchvisions) {
  constexpr int64_t kSide = 4, kClasses = 5;
  const at::Tensor labels = at::tensor(std::vector<int64_t>{3, 1}, at::kLong);
  const at::Tensor images = at::empty({2, 3, kSide, kSide}, at::kDouble);
  for (int64_t i = 0; i < images.numel(); ++i) {
    images.mutable_data_ptr<double>()[i] = std::sin(0.3 * static_cast<double>(i));
  }
  ASSERT_EQ(golden().at("mixed").size(), 6u);
  for (const auto& entry : golden().at("mixed")) {
    const std::vector<int64_t> box = entry.at("box");
    Mixer mixer(options_of(1, 1), 1, kSide, at::kCPU);
    mixer.use({entry.at("lambda"), box[0], box[1], box[2], box[3]});
    const auto expect = [](const at::Tensor& ours, const Numbers& theirs) {
      const at::Tensor flat = ours.contiguous().view({-1});
      EXPECT_LT(flat.sub(at::tensor(theirs, at::kDouble)).abs().max().item<double>(), 1e-15);
    };
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const at::Tensor mixed = mixer.images(images.contiguous(format));
      EXPECT_TRUE(mixed.is_contiguous(format));
      expect(mixed, entry.at("pixels"));
    }
    expect(mixer.targets(labels, kClasses, at::kDouble), entry.at("targets"));
  }
}

// A batch that is not mixed stays as it is, to the bit.
TEST(Mixing, NothingIsMixedWithALambdaOfOne) {
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor images = at::randn({6, 3, 8, 8}, generator);
  EXPECT_TRUE(Mixer(options_of(1, 1), 1, 8, at::kCPU).images(images).equal(images));
}

// The same pixels and targets on 1, 2 and 4 ranks, with and without accumulation, to the bit.
TEST(Mixing, IsTheSameHoweverAGlobalBatchIsShared) {
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor images = at::randn({16, 3, 8, 8}, generator);
  const at::Tensor labels =
      at::randint(0, 4, {16}, generator, at::TensorOptions().dtype(at::kLong));
  for (const MixOptions& options : {options_of(0.8, 0), options_of(0, 1), options_of(0.8, 1)}) {
    int changed = 0;
    for (int64_t batch = 0; batch < 8; ++batch) {
      const auto mixed = [&](int64_t micro_batches) {
        std::vector<at::Tensor> pixels, targets;
        for (int64_t i = 0; i < micro_batches; ++i) {  // each on a rank of its own
          Mixer mixer(options, 9, 8, at::kCPU);
          mixer.draw({3, 16 * batch});
          const int64_t n = 16 / micro_batches;
          pixels.push_back(mixer.images(images.slice(0, i * n, (i + 1) * n)));
          targets.push_back(mixer.targets(labels.slice(0, i * n, (i + 1) * n), 4, at::kFloat));
        }
        return std::pair(at::cat(pixels), at::cat(targets));
      };
      const auto whole = mixed(1);
      changed += whole.first.equal(images) ? 0 : 1;  // a box may be smaller than a pixel
      for (const int64_t micro_batches : {2, 4, 8}) {
        const auto shared = mixed(micro_batches);
        EXPECT_TRUE(shared.first.equal(whole.first)) << micro_batches;
        EXPECT_TRUE(shared.second.equal(whole.second)) << micro_batches;
      }
    }
    EXPECT_GE(changed, 6);
  }
}

// ---- losses -------------------------------------------------------------------------------------

TEST(Criterion, GivesPyTorchsLosses) {
  constexpr int64_t kClasses = 5;
  const at::Tensor labels = at::tensor(std::vector<int64_t>{3, 1}, at::kLong);
  const at::Tensor logits = at::empty({2, kClasses}, at::kDouble);
  for (int64_t i = 0; i < logits.numel(); ++i) {
    logits.mutable_data_ptr<double>()[i] = 2 * std::sin(1 + 0.8 * static_cast<double>(i));
  }
  ASSERT_EQ(golden().at("losses").size(), 18u);
  for (const auto& entry : golden().at("losses")) {
    OptimizerOptions options;
    options.loss = entry.at("kind") == "bce" ? LossKind::kBce : LossKind::kCrossEntropy;
    options.label_smoothing = entry.at("smoothing");
    options.bce_threshold = entry.at("threshold");
    at::Tensor target = labels;
    if (!entry.at("lambda").is_null()) {
      Mixer mixer(options_of(1, 0), 1, 8, at::kCPU);
      mixer.use({entry.at("lambda")});
      target = mixer.targets(labels, kClasses, at::kDouble);
    }
    EXPECT_NEAR(loss_of(options, logits, target).item<double>(), entry.at("loss").get<double>(),
                1e-14)
        << entry.dump();
  }
}

TEST(Criterion, ATargetAtTheThresholdCountsAsNone) {
  OptimizerOptions options;
  options.loss = LossKind::kBce;
  const at::Tensor logits = at::tensor(Numbers{0.5, -1.5}, at::kDouble).view({1, 2});
  const at::Tensor soft = at::tensor(Numbers{0.2, 0.8}, at::kDouble).view({1, 2});
  const at::Tensor hard = at::tensor(Numbers{0, 1}, at::kDouble).view({1, 2});
  const double expected = loss_of(options, logits, hard).item<double>();
  EXPECT_NE(loss_of(options, logits, soft).item<double>(), expected);
  options.bce_threshold = 0.2;
  EXPECT_EQ(loss_of(options, logits, soft).item<double>(), expected);
}

}  // namespace
}  // namespace resnext
