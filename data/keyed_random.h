// Random numbers that are a pure function of a key: who draws, when, and how many draws before.
//
// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014)
// whose starting state is a hash of the key. Integer results are the same on every machine; the
// standard library's distributions are not, so none is used. Cheap to create; not shared by
// threads.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>

namespace resnext {

// What the numbers are used for, so that equal (seed, epoch, index) never share a sequence.
enum class RandomUse : uint64_t {
  kOrder = 1,
  kAugment = 2,
  kMix = 3,
  kDepth = 4,
  kPixels = 5,
  kPack = 6
};

class KeyedRandom {
 public:
  KeyedRandom(RandomUse use, uint64_t seed, uint64_t epoch, uint64_t index) {
    for (const uint64_t part : {static_cast<uint64_t>(use), seed, epoch, index}) {
      state_ = mix((state_ ^ part) + kIncrement);
    }
  }

  uint64_t next() { return mix(state_ += kIncrement); }

  // Uniform in 0..bound-1 without bias (Lemire, "Fast random integer generation in an interval",
  // 2019). `bound` must not be 0.
  uint64_t below(uint64_t bound) {
    for (;;) {
      const auto product = static_cast<Wide>(next()) * bound;
      const auto low = static_cast<uint64_t>(product);
      if (low >= bound || low >= (0 - bound) % bound) return static_cast<uint64_t>(product >> 64);
    }
  }

  // Uniform in [0, 1) and [low, high).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  bool chance(double probability) { return uniform() < probability; }

  // Normal with mean 0 and deviation 1 (Box and Muller 1958).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr uint64_t kIncrement = 0x9e3779b97f4a7c15;

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_ = 0;
};

}  // namespace resnext
