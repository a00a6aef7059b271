// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/synthetic_source.h"

#include <algorithm>
#include <cstring>

#include "data/keyed_random.h"

namespace resnext {
namespace {

class SyntheticSource final : public SampleSource {
 public:
  explicit SyntheticSource(const SyntheticSet& set) : set_(set) {}

  void read(int64_t index, std::vector<uint8_t>& bytes) const override {
    bytes.resize(static_cast<size_t>(set_.side * set_.side * 3));
    KeyedRandom random(RandomUse::kPixels, set_.split, 0, static_cast<uint64_t>(index));
    for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
      const uint64_t value = random.next();
      std::memcpy(bytes.data() + at, &value, std::min(sizeof(value), bytes.size() - at));
    }
  }

 private:
  const SyntheticSet set_;
};

}  // namespace

std::vector<int64_t> synthetic_labels(const SyntheticSet& set) {
  std::vector<int64_t> labels(static_cast<size_t>(set.images));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i) % set.classes;
  return labels;
}

std::unique_ptr<SampleSource> synthetic_source(const SyntheticSet& set) {
  return std::make_unique<SyntheticSource>(set);
}

}  // namespace resnext
