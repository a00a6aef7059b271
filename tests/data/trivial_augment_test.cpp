// The operations of TrivialAugmentWide against torchvision's results.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/augment/trivial_augment.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <set>
#include <string>

#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::difference;
using testing::golden_image;

int largest_difference(Augmentation kind, double magnitude, const std::string& golden,
                       const std::string& source = "square") {
  const Image image = golden_image(source);
  Image out = image;
  std::vector<uint8_t> scratch;
  augment({kind, magnitude}, image.pixels.data(), image.height, out.pixels.data(), scratch);
  return difference(out.view(), golden_image("augment_" + golden).view()).largest;
}

TEST(TrivialAugment, GeometryEqualsTorchvision) {
  using A = Augmentation;
  EXPECT_EQ(largest_difference(A::kShearX, 0.3, "ShearX_0.3"), 0);
  EXPECT_EQ(largest_difference(A::kShearX, -0.66, "ShearX_-0.66"), 0);
  EXPECT_EQ(largest_difference(A::kShearY, 0.45, "ShearY_0.45"), 0);
  EXPECT_EQ(largest_difference(A::kTranslateX, 9, "TranslateX_9"), 0);
  EXPECT_EQ(largest_difference(A::kTranslateY, -13, "TranslateY_-13"), 0);
  EXPECT_EQ(largest_difference(A::kRotate, 31.5, "Rotate_31.5"), 0);
  EXPECT_EQ(largest_difference(A::kRotate, -117, "Rotate_-117"), 0);
}

TEST(TrivialAugment, ColoursEqualTorchvision) {
  using A = Augmentation;
  EXPECT_EQ(largest_difference(A::kBrightness, 0.5, "Brightness_0.5"), 0);
  EXPECT_EQ(largest_difference(A::kBrightness, -0.8, "Brightness_-0.8"), 0);
  EXPECT_EQ(largest_difference(A::kColour, 0.7, "Color_0.7"), 0);
  EXPECT_EQ(largest_difference(A::kColour, -0.6, "Color_-0.6"), 0);
  EXPECT_EQ(largest_difference(A::kContrast, 0.6, "Contrast_0.6"), 0);
  EXPECT_EQ(largest_difference(A::kContrast, -0.4, "Contrast_-0.4"), 0);
  EXPECT_EQ(largest_difference(A::kSharpness, 0.9, "Sharpness_0.9"), 0);
  EXPECT_EQ(largest_difference(A::kSharpness, -0.7, "Sharpness_-0.7"), 0);
  EXPECT_EQ(largest_difference(A::kPosterize, 3, "Posterize_3"), 0);
  EXPECT_EQ(largest_difference(A::kSolarize, 119, "Solarize_119"), 0);
  EXPECT_EQ(largest_difference(A::kEqualize, 0, "Equalize_0"), 0);
  EXPECT_EQ(largest_difference(A::kAutoContrast, 0, "AutoContrast_0", "square_dull"), 0);
}

// Each kind with a strength and, where it reads between pixels, in each way.
std::vector<AugmentOperation> all_operations() {
  std::vector<AugmentOperation> all;
  for (int k = 0; k <= static_cast<int>(Augmentation::kInvert); ++k) {
    const auto kind = static_cast<Augmentation>(k);
    for (const int strength : {1, 17, 30}) {
      const double magnitude =
          kind == Augmentation::kSolarizeAdd ? 40 : magnitude_of(kind, strength);
      for (const Sampling sampling :
           {Sampling::kNearest, Sampling::kBilinear, Sampling::kBicubic}) {
        all.push_back({kind, magnitude, {sampling}});
        if (has_sign(kind)) all.push_back({kind, -magnitude, {sampling}});
      }
    }
  }
  return all;
}

TEST(TrivialAugment, OnePlaceIsAsGoodAsTwoWhereItSaysSo) {
  const Image source = golden_image("square");
  for (const AugmentOperation& operation : all_operations()) {
    if (needs_two_places(operation.kind)) continue;
    std::vector<uint8_t> place = source.pixels, out(place.size()), scratch;
    augment(operation, place.data(), source.height, out.data(), scratch);
    augment(operation, place.data(), source.height, place.data(), scratch);
    EXPECT_EQ(place, out) << static_cast<int>(operation.kind);
  }
}

// Bytes that end where memory ends.
class BytesAtTheEnd {
 public:
  explicit BytesAtTheEnd(size_t count) : count_(count) {
    memory_ =
        mmap(nullptr, pages() + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED || mprotect(end(), kPage, PROT_NONE) != 0) std::abort();
  }
  ~BytesAtTheEnd() { munmap(memory_, pages() + kPage); }
  BytesAtTheEnd(const BytesAtTheEnd&) = delete;
  BytesAtTheEnd& operator=(const BytesAtTheEnd&) = delete;

  uint8_t* data() const { return end() - count_; }

 private:
  static constexpr size_t kPage = 65536;  // as large as they come
  size_t pages() const { return (count_ + kPage - 1) / kPage * kPage; }
  uint8_t* end() const { return static_cast<uint8_t*>(memory_) + pages(); }

  size_t count_;
  void* memory_;
};

TEST(TrivialAugment, TouchesNoByteBehindTheImages) {
  for (const int64_t size : {1, 2, 3, 5, 16, 24, 33}) {
    const auto bytes = static_cast<size_t>(size * size * 3);
    const BytesAtTheEnd in(bytes), out(bytes);
    for (size_t i = 0; i < bytes; ++i) in.data()[i] = static_cast<uint8_t>(i * 37);
    std::vector<uint8_t> scratch;
    for (const AugmentOperation& operation : all_operations()) {
      augment(operation, in.data(), size, out.data(), scratch);
    }
  }
}

// What trivial_augment() draws for a number, applied to an image.
std::vector<uint8_t> drawn(const std::vector<uint8_t>& pixels, int64_t size, uint64_t number,
                           Sampling sampling) {
  KeyedRandom random(RandomUse::kAugment, 1, 1, number);
  std::vector<AugmentOperation> operations;
  trivial_augment(random, sampling, operations);
  if (operations.empty()) return pixels;
  std::vector<uint8_t> out(pixels.size()), scratch;
  augment(operations.front(), pixels.data(), size, out.data(), scratch);
  return out;
}

TEST(TrivialAugment, DrawsManyDifferentResults) {
  const Image source = golden_image("square");
  std::set<std::vector<uint8_t>> seen;
  for (uint64_t i = 0; i < 500; ++i) {
    seen.insert(drawn(source.pixels, source.height, i, Sampling::kNearest));
  }
  EXPECT_GT(seen.size(), 200U);
}

TEST(TrivialAugment, SurvivesConstantAndSinglePixelImages) {
  for (const int64_t size : {1, 2, 5}) {
    for (const Sampling sampling : {Sampling::kNearest, Sampling::kBilinear, Sampling::kBicubic}) {
      for (uint64_t i = 0; i < 300; ++i) {
        drawn(std::vector<uint8_t>(static_cast<size_t>(size * size * 3), 77), size, i, sampling);
      }
    }
  }
}

}  // namespace
}  // namespace resnext
