// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/tiny_data.h"

#include <vector>

#include "data/container/container_writer.h"
#include "data/keyed_random.h"

namespace resnext::test {

// Pixels of a class lie around a brightness of its own, so that there is something to learn.
void write_tiny_container(const std::string& path, const TinyData& data) {
  ContainerWriter writer(path);
  std::vector<uint8_t> pixels(static_cast<size_t>(data.side * data.side * 3));
  for (int64_t i = 0; i < data.images; ++i) {
    const int64_t label = i % data.classes;
    const auto base = static_cast<uint64_t>(160 * label / data.classes);
    KeyedRandom random(RandomUse::kAugment, data.key, 0, static_cast<uint64_t>(i));
    for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(base + random.below(96));
    const int64_t turned = label - data.first_class;
    writer.append(pixels, turned < 0 ? turned + data.named : turned);
  }
  ContainerDescription description;
  description.height = description.width = data.side;
  for (int64_t c = 0; c < data.named; ++c) {
    description.class_names.push_back("class " +
                                      std::to_string((c + data.first_class) % data.named));
  }
  writer.finish(description);
}

}  // namespace resnext::test
