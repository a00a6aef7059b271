// The laws of all random draws, and so each constant of the recipes: against draws by an
// independent generator from the published definitions (Kolmogorov and Smirnov's two-sample test),
// and tables by equality. tests/data/mutants.py shows that every constant is caught.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <vector>

#include "data/augment/crop.h"
#include "data/augment/rand_augment.h"
#include "data/augment/recipe.h"
#include "data/augment/transforms.h"
#include "data/augment/trivial_augment.h"

namespace resnext {
namespace {

constexpr int kDraws = 40000;

using Sample = std::vector<double>;
using Generator = std::mt19937_64;

double uniform(Generator& generator, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(generator);
}

KeyedRandom random_of(int i) {
  return {RandomUse::kAugment, 7, 3, static_cast<uint64_t>(i)};
}

// The largest distance of the two distributions, in units in which equal ones exceed 2.5 once in
// 130,000 tests (2 exp(-2 * 2.5^2); Smirnov 1948).
double distance(Sample a, Sample b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  double largest = 0;
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const double x = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= x) ++i;
    while (j < b.size() && b[j] <= x) ++j;
    largest = std::max(largest, std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                         static_cast<double>(j) / static_cast<double>(b.size())));
  }
  const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  return largest * std::sqrt(n * m / (n + m));
}

void expect_same_law(const Sample& ours, const Sample& reference, const char* what) {
  EXPECT_LT(distance(ours, reference), 2.5) << what;
}

// Finer than the distance where a small part of what varies is to be seen: five standard errors of
// two samples' variances are 4 %.
void expect_same_variance(const Sample& ours, const Sample& reference, const char* what) {
  const auto variance = [](const Sample& sample) {
    double sum = 0, squares = 0;
    for (const double x : sample) {
      sum += x;
      squares += x * x;
    }
    const auto n = static_cast<double>(sample.size());
    return squares / n - sum / n * (sum / n);
  };
  EXPECT_NEAR(variance(ours) / variance(reference), 1, 0.04) << what;
}

// `hits` of kDraws at probability p, within five standard deviations.
void expect_share(int hits, double p, const char* what) {
  EXPECT_NEAR(hits, kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p))) << what;
}

// ---- crops ----------------------------------------------------------------------------------

struct Box {
  double height = 0, width = 0, top = 0, left = 0;
};

Box of(const Crop& crop) {
  return {static_cast<double>(crop.height), static_cast<double>(crop.width),
          static_cast<double>(crop.top), static_cast<double>(crop.left)};
}

// torchvision.transforms.RandomResizedCrop.get_params (scale 0.08..1, ratio 3/4..4/3), and the
// seed's RandomSizedCrop: ratio uniform, sides swapped half of the time. In exact lengths.
Box reference_crop(double height, double width, bool seed, Generator& generator) {
  for (int i = 0; i < 10; ++i) {
    const double area = height * width * uniform(generator, 0.08, 1);
    const double aspect = seed ? uniform(generator, 0.75, 4.0 / 3)
                               : std::exp(uniform(generator, std::log(0.75), std::log(4.0 / 3)));
    double w = std::sqrt(area * aspect), h = std::sqrt(area / aspect);
    if (seed && uniform(generator, 0, 1) < 0.5) std::swap(w, h);
    if (w > width || h > height) continue;
    return {h, w, uniform(generator, 0, height - h), uniform(generator, 0, width - w)};
  }
  return {height, width, 0, 0};
}

TEST(Laws, RandomCrops) {
  constexpr int64_t kHeight = 3000, kWidth = 4000;  // so large that whole pixels do not matter
  for (const bool seed : {false, true}) {
    Generator generator(1);
    Sample ours[4], reference[4];
    for (int i = 0; i < kDraws; ++i) {
      KeyedRandom random = random_of(i);
      const Box a = of(seed ? random_sized_crop(kHeight, kWidth, 224, random)
                            : random_resized_crop(kHeight, kWidth, 224, random));
      const Box b = reference_crop(kHeight, kWidth, seed, generator);
      for (const auto& [box, sample] : {std::pair{a, ours}, {b, reference}}) {
        sample[0].push_back(box.height * box.width);
        sample[1].push_back(box.height / box.width);
        sample[2].push_back(box.top / (kHeight + 1 - box.height));
        sample[3].push_back(box.left / (kWidth + 1 - box.width));
      }
    }
    const char* const names[] = {"area", "aspect", "top", "left"};
    for (int i = 0; i < 4; ++i) expect_same_law(ours[i], reference[i], names[i]);
    // The ends of the laws, which a test of the whole sees late.
    EXPECT_NEAR(std::ranges::min(ours[0]) / (kHeight * kWidth), 0.08, 0.001);
    EXPECT_NEAR(std::ranges::min(ours[1]), 0.75, 0.002);
    EXPECT_NEAR(std::ranges::max(ours[1]), 4.0 / 3, 0.003);
  }
}

// Where the first tries rarely fit, their number shows.
TEST(Laws, ACropIsTriedTenTimes) {
  for (const bool seed : {false, true}) {
    Generator generator(2);
    int ours = 0, reference = 0;
    for (int i = 0; i < kDraws; ++i) {
      KeyedRandom random = random_of(i);
      const Crop crop = seed ? random_sized_crop(300, 3000, 224, random)
                             : random_resized_crop(300, 3000, 224, random);
      ours += crop.height == 300 ? 1 : 0;
      reference += reference_crop(300, 3000, seed, generator).height == 300 ? 1 : 0;
    }
    expect_share(ours, static_cast<double>(reference) / kDraws, "crops that did not fit");
  }
}

// ---- erasing --------------------------------------------------------------------------------

// torchvision.transforms.RandomErasing.get_params with its defaults.
Box reference_erasing(double side, Generator& generator) {
  for (int i = 0; i < 10; ++i) {
    const double area = side * side * uniform(generator, 0.02, 0.33);
    const double aspect = std::exp(uniform(generator, std::log(0.3), std::log(3.3)));
    const double h = std::round(std::sqrt(area * aspect));
    const double w = std::round(std::sqrt(area / aspect));
    if (h < side && w < side) return {h, w, 0, 0};
  }
  return {};
}

TEST(Laws, RandomErasing) {
  constexpr int64_t kSide = 64;
  Generator generator(3);
  Sample ours[2], reference[2];
  std::vector<uint8_t> pixels;
  for (int i = 0; i < kDraws / 4; ++i) {
    KeyedRandom random = random_of(i);
    pixels.assign(kSide * kSide * 3, 0);
    random_erasing(pixels.data(), kSide, kSide, {255, 255, 255}, random);
    int64_t rows = 0, all = 0;
    for (int64_t y = 0; y < kSide; ++y) {
      const auto row = pixels.begin() + y * kSide * 3;
      const int64_t white = std::count(row, row + kSide * 3, 255) / 3;
      rows += white > 0 ? 1 : 0;
      all += white;
    }
    ours[0].push_back(static_cast<double>(all));
    ours[1].push_back(static_cast<double>(rows));
    const Box box = reference_erasing(kSide, generator);
    reference[0].push_back(box.height * box.width);
    reference[1].push_back(box.height);
  }
  expect_same_law(ours[0], reference[0], "area");
  expect_same_law(ours[1], reference[1], "rows");
}

// ---- TrivialAugment -------------------------------------------------------------------------

std::vector<uint8_t> applied(const std::vector<AugmentOperation>& operations,
                             std::vector<uint8_t> pixels, int64_t side) {
  std::vector<uint8_t> out(pixels.size()), scratch;
  for (const AugmentOperation& operation : operations) {
    augment(operation, pixels.data(), side, out.data(), scratch);
    std::swap(pixels, out);
  }
  return pixels;
}

// torchvision.transforms.TrivialAugmentWide._augmentation_space with 31 bins.
TEST(Laws, TrivialAugmentsMagnitudes) {
  using A = Augmentation;
  for (int s = 0; s < 31; ++s) {
    const double part = s / 30.0;
    for (const A kind :
         {A::kShearX, A::kShearY, A::kBrightness, A::kColour, A::kContrast, A::kSharpness}) {
      EXPECT_NEAR(magnitude_of(kind, s), 0.99 * part, 1e-12);
    }
    for (const A kind : {A::kTranslateX, A::kTranslateY}) {
      EXPECT_EQ(magnitude_of(kind, s), std::floor(32.0 * s / 30));
    }
    EXPECT_NEAR(magnitude_of(A::kRotate, s), 135 * part, 1e-12);
    EXPECT_NEAR(magnitude_of(A::kSolarize, s), 255 - 255 * part, 1e-12);
  }
  // 8 - (arange(31) / (30 / 6)).round(), halves to even.
  const int bits[] = {8, 8, 8, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 5, 5, 5,
                      5, 5, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 2, 2, 2};
  for (int s = 0; s < 31; ++s) EXPECT_EQ(magnitude_of(A::kPosterize, s), bits[s]) << s;
  EXPECT_EQ(kStrengths, 31);
  const bool sign[kAugmentations] = {false, true, true, true,  true,  true,  true,
                                     true,  true, true, false, false, false, false};
  for (int kind = 0; kind < kAugmentations; ++kind) {
    EXPECT_EQ(has_sign(static_cast<A>(kind)), sign[kind]) << kind;
  }
}

// Every result is that of a kind, a strength and a sign; each result is as frequent as its causes.
TEST(Laws, TrivialAugmentsDraws) {
  constexpr int64_t kSide = 9;
  std::vector<uint8_t> source(kSide * kSide * 3);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 37 % 251 + 2);
  std::map<std::vector<uint8_t>, double> probability;
  for (int kind = 0; kind < kAugmentations; ++kind) {
    for (int strength = 0; strength < kStrengths; ++strength) {
      for (const double sign : {-1.0, 1.0}) {
        const auto k = static_cast<Augmentation>(kind);
        const double magnitude = (has_sign(k) ? sign : 1) * magnitude_of(k, strength);
        probability[applied({{k, magnitude}}, source, kSide)] +=
            1.0 / (kAugmentations * kStrengths * 2);
      }
    }
  }
  std::map<std::vector<uint8_t>, int> seen;
  for (int i = 0; i < kDraws; ++i) {
    KeyedRandom random = random_of(i);
    std::vector<AugmentOperation> drawn;
    trivial_augment(random, Sampling::kNearest, drawn);
    ++seen[applied(drawn, source, kSide)];
  }
  double chi_square = 0;  // Pearson 1900; its mean is the number of results less one
  for (const auto& [result, p] : probability) {
    const double expected = kDraws * p, difference = seen[result] - expected;
    chi_square += difference * difference / expected;
  }
  EXPECT_EQ(seen.size(), probability.size()) << "a result that no kind, strength and sign have";
  const auto freedom = static_cast<double>(probability.size() - 1);
  EXPECT_NEAR(chi_square, freedom, 5 * std::sqrt(2 * freedom));
}

// ---- RandAugment ----------------------------------------------------------------------------

// What timm's rand_augment_transform makes of an image of one grey value, by its own formulas:
// geometry shows no border, and of the enhancements only brightness shows.
double reference_grey(double v, const AugmentOptions& o, Generator& generator) {
  for (int64_t i = 0; i < o.operations; ++i) {
    const int kind = std::uniform_int_distribution<int>(0, 14)(generator);
    if (uniform(generator, 0, 1) >= o.probability) continue;
    double level = o.magnitude;
    if (o.deviation > 0) level = std::normal_distribution<double>(level, o.deviation)(generator);
    const double part = std::clamp(level, 0.0, 10.0) / 10;
    const double sign = uniform(generator, 0, 1) < 0.5 ? -1 : 1;
    const int bits = static_cast<int>(part * 4), added = static_cast<int>(part * 110);
    const int threshold = std::min(256, static_cast<int>(part * 256));
    if (kind == 0) v = 255 - v;
    if (kind == 1) v = static_cast<int>(v) & (0xff << (8 - (o.increasing ? 4 - bits : bits)));
    if (kind == 2) v = v < (o.increasing ? 256 - threshold : threshold) ? v : 255 - v;
    if (kind == 3) v = v < 128 ? std::min(255.0, v + added) : v;
    if (kind != 4) continue;
    const double factor = o.increasing ? 1 + sign * 0.9 * part : 0.1 + 1.8 * part;
    v = std::clamp(std::trunc(v * factor), 0.0, 255.0);
  }
  return v;
}

TEST(Laws, RandAugmentsLevelsKindsAndSigns) {
  AugmentOptions narrow, wide, fixed, falling;
  narrow.magnitude = 7;
  wide.deviation = 4;  // so that levels are cut at both ends
  wide.magnitude = 6;
  fixed.deviation = 0;
  fixed.operations = 1;
  fixed.probability = 1;
  falling.increasing = false;
  falling.operations = 3;
  for (const AugmentOptions& options : {narrow, wide, fixed, falling}) {
    Generator generator(5);
    Sample ours, reference;
    for (int i = 0; i < kDraws; ++i) {
      KeyedRandom random = random_of(i);
      std::vector<AugmentOperation> drawn;
      rand_augment(options, 3, {90, 90, 90}, std::nullopt, random, drawn);
      ours.push_back(applied(drawn, std::vector<uint8_t>(3 * 3 * 3, 90), 3)[12]);
      reference.push_back(reference_grey(90, options, generator));
    }
    expect_same_law(ours, reference, "grey value");
    expect_same_variance(ours, reference, "grey value");
  }
}

// Geometry: one image in 15 is turned, each way half of the time, read one way or the other.
TEST(Laws, RandAugmentsRotations) {
  constexpr int64_t kSide = 9;
  std::vector<uint8_t> source(kSide * kSide * 3);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 37 % 251 + 2);
  AugmentOptions options;
  options.deviation = 0;
  options.operations = 1;
  options.probability = 0.7;
  std::map<std::vector<uint8_t>, int> seen;
  for (int i = 0; i < kDraws; ++i) {
    KeyedRandom random = random_of(i);
    std::vector<AugmentOperation> drawn;
    rand_augment(options, kSide, {1, 2, 3}, std::nullopt, random, drawn);
    ++seen[applied(drawn, source, kSide)];
  }
  for (const double degrees : {27.0, -27.0}) {
    for (const Sampling sampling : {Sampling::kBilinear, Sampling::kBicubic}) {
      const AugmentOperation turn{Augmentation::kRotate, degrees, {sampling, {1, 2, 3}}};
      expect_share(seen[applied({turn}, source, kSide)], 0.7 / 15 / 4, "rotations");
    }
  }
}

// ---- recipes --------------------------------------------------------------------------------

// Pixels of `draws` images that `name` makes of `image` in training.
void for_each_draw(RecipeName name, const StoredSample& image, int64_t size, int draws,
                   const std::function<void(const uint8_t*)>& look,
                   const std::array<double, 3>& fill = {0, 0, 0}) {
  RecipeOptions options;
  options.name = name;
  options.size = size;
  options.resize = size;
  std::ranges::copy(fill, options.fill);
  const Recipe recipe(options);
  RecipeScratch scratch;
  std::vector<uint8_t> out(static_cast<size_t>(recipe.square_bytes()));
  for (int i = 0; i < draws; ++i) {
    recipe.apply(image, {11, 2, i}, scratch, out.data());
    look(out.data());
  }
}

// Left half dark, right half bright: the flip shows in a corner.
TEST(Laws, ImagesAreFlippedHalfOfTheTime) {
  constexpr int64_t kSide = 8;
  std::vector<uint8_t> pixels(kSide * kSide * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = i % (kSide * 3) < kSide * 3 / 2 ? 20 : 90;
  const StoredSample image{Storage::kRaw, pixels, kSide, kSide};
  for (const RecipeName name : {RecipeName::kTorchvision, RecipeName::kCifar}) {
    int flipped = 0;
    for_each_draw(name, image, kSide, kDraws, [&](const uint8_t* out) {
      const uint8_t* row = out + kSide / 2 * kSide * 3;
      const int left = row[3 * 2], right = row[3 * (kSide - 3)];
      flipped += left > right ? 2 : left == right ? 1 : 0;  // a crop of one half: no one knows
    });
    EXPECT_NEAR(flipped, kDraws, 5 * std::sqrt(kDraws)) << static_cast<int>(name);
  }
}

// torchvision-v2 erases one image in ten, with `fill`.
TEST(Laws, OneImageInTenIsErased) {
  constexpr int64_t kSide = 16;
  const std::vector<uint8_t> grey(kSide * kSide * 3, 128);  // stays grey, whatever is drawn
  int erased = 0;
  for_each_draw(RecipeName::kTorchvisionV2, {Storage::kRaw, grey, kSide, kSide}, kSide, kDraws,
                [&](const uint8_t* out) {
                  for (int64_t i = 0; i < kSide * kSide; ++i) {
                    if (out[3 * i] != out[3 * i + 1]) {
                      ++erased;
                      return;
                    }
                  }
                },
                {10, 200, 77});
  expect_share(erased, 0.1, "erased");
}

// The offset of the crop is where a bright pixel in the middle has gone.
TEST(Laws, CifarPadsByFour) {
  constexpr int64_t kSide = 17, kMiddle = kSide / 2;
  std::vector<uint8_t> pixels(kSide * kSide * 3, 0);
  pixels[(kMiddle * kSide + kMiddle) * 3] = 255;
  std::map<std::pair<int64_t, int64_t>, int> seen;
  for_each_draw(RecipeName::kCifar, {Storage::kRaw, pixels, kSide, kSide}, kSide, kDraws,
                [&](const uint8_t* out) {
                  const auto* at = std::find(out, out + kSide * kSide * 3, 255);
                  const int64_t pixel = (at - out) / 3;
                  ++seen[{pixel / kSide - kMiddle, pixel % kSide - kMiddle}];
                });
  EXPECT_EQ(seen.size(), 81U);
  for (const auto& [offset, count] : seen) {
    EXPECT_LE(std::abs(offset.first), 4);
    EXPECT_LE(std::abs(offset.second), 4);
    expect_share(count, 1.0 / 81, "an offset");
  }
}

// Of one grey value only brightness and lighting show: v a + shift (fb.resnet.torch's ColorJitter
// 0.4 and Lighting 0.1), whatever the order.
void expect_seeds_colours(double level) {
  constexpr int64_t kSide = 4;
  const std::vector<uint8_t> grey(kSide * kSide * 3, static_cast<uint8_t>(level));
  Sample ours[3], reference[3];
  for_each_draw(RecipeName::kSeed, {Storage::kRaw, grey, kSide, kSide}, kSide, kDraws,
                [&](const uint8_t* pixels) {
                  const auto* out = reinterpret_cast<const float*>(pixels);
                  ours[0].push_back(out[0]);
                  ours[1].push_back(out[0] - out[1]);
                  ours[2].push_back(out[1] - out[2]);
                });
  const double vectors[3][3] = {
      {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};
  const double values[] = {0.2175, 0.0188, 0.0045};
  Generator generator(4);
  std::normal_distribution<double> normal(0, 0.1);
  for (int i = 0; i < kDraws; ++i) {
    const double brightness = uniform(generator, 0.6, 1.4);
    double weights[3], colour[3];
    for (int k = 0; k < 3; ++k) weights[k] = normal(generator) * values[k];
    for (int c = 0; c < 3; ++c) {
      double shift = 0;
      for (int k = 0; k < 3; ++k) shift += vectors[c][k] * weights[k];
      colour[c] = level * brightness + 255 * shift;
    }
    reference[0].push_back(colour[0]);
    reference[1].push_back(colour[0] - colour[1]);
    reference[2].push_back(colour[1] - colour[2]);
  }
  const char* const names[] = {"red", "red - green", "green - blue"};
  for (int i = 0; i < 3; ++i) {
    expect_same_law(ours[i], reference[i], names[i]);
    expect_same_variance(ours[i], reference[i], names[i]);
  }
}

TEST(Laws, SeedsJitterAndLighting) {
  expect_seeds_colours(120);
  expect_seeds_colours(12);  // where brightness varies less than lighting
}

}  // namespace
}  // namespace resnext
