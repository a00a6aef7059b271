// Files made to exhaust a YAML reader: each must be refused with little work.
//
// Work is counted in allocations, which are the same on any machine; what would take for ever
// without any ends at the test's time limit.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "tests/configs/temporary_file.h"
#include "tests/support/allocations.h"

namespace resnext {
namespace {

using test::Allocations;
using test::allocations;

constexpr size_t kNearlyOneMib = 1'000'000;

// The costliest file, a list of 333,000 numbers, takes 1.1 million allocations of 280 MB in all.
constexpr uint64_t kMostAllocations = 3'000'000;
constexpr uint64_t kMostBytes = 800'000'000;

std::string repeated(const std::string& part, size_t bytes) {
  std::string text;
  while (text.size() + part.size() <= bytes) text += part;
  return text;
}

std::string alias_bomb() {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" +
            repeated(last + ", ", 40) + last + "]\n";
  }
  return text;
}

std::string nested_blocks(size_t levels) {
  std::string text;
  for (size_t i = 0; i < levels; ++i) text += std::string(i, ' ') + "run:\n";
  return text;
}

std::string numbered_keys(size_t bytes) {
  std::string text = "run:\n";
  for (int i = 0; text.size() < bytes; ++i) text += "  key" + std::to_string(i) + ": 1\n";
  return text;
}

struct Hostile {
  const char* name;
  std::string yaml;
};

TEST(HostileYaml, IsRefusedWithLittleWork) {
  const Hostile all[] = {
      {"alias bomb", alias_bomb()},
      {"deep lists", repeated("[", kNearlyOneMib)},
      {"deep maps", repeated("{a: ", kNearlyOneMib)},
      {"deep known maps", repeated("{run: ", kNearlyOneMib)},
      {"deep list of a list key", "schedule: {milestones: " + repeated("[", kNearlyOneMib)},
      {"deep block lists", repeated("- ", kNearlyOneMib)},
      {"deep block maps", nested_blocks(1000)},
      {"complex keys", repeated("? ", kNearlyOneMib)},
      {"long list", "schedule: {milestones: [" + repeated("1, ", kNearlyOneMib) + "1]}"},
      {"long key", repeated("k", kNearlyOneMib) + ": 1"},
      {"long quoted key", "\"" + repeated("k", kNearlyOneMib) + "\": 1"},
      {"long number", "run: {epochs: " + repeated("9", kNearlyOneMib) + "}"},
      {"long dotted key", repeated("a.", kNearlyOneMib) + ": 1"},
      {"many keys", numbered_keys(kNearlyOneMib)},
      {"unclosed quote", "run: {name: \"" + repeated("x\n", kNearlyOneMib)},
      {"colons", repeated(":", kNearlyOneMib)},
      {"anchors", "run: " + repeated("&a ", kNearlyOneMib)},
      {"tags", "run: " + repeated("!a ", kNearlyOneMib)},
      {"directives", repeated("%TAG ! a\n", kNearlyOneMib)},
      {"documents", repeated("---\n", kNearlyOneMib)},
      {"just over the limit", std::string((1 << 20) + 1, '#')},
      {"zeros", std::string(kNearlyOneMib, '\0')},
  };
  for (const Hostile& hostile : all) {
    SCOPED_TRACE(hostile.name);
    const TemporaryFile file(hostile.yaml);
    const Allocations before = allocations();
    EXPECT_THROW(read_run_config(file.path(), {}), ConfigError);
    EXPECT_LT(allocations().count - before.count, kMostAllocations);
    EXPECT_LT(allocations().bytes - before.bytes, kMostBytes);
  }
}

TEST(HostileYaml, EndlessFilesAreRefused) {
  EXPECT_THROW(read_run_config("/dev/zero", {}), ConfigError);
}

TEST(HostileYaml, LargestHarmlessFileIsRead) {
  const std::string yaml = "run: {epochs: 3}\n" + repeated("# comment\n", kNearlyOneMib);
  EXPECT_EQ(read_run_config(TemporaryFile(yaml).path(), {}).run.epochs, 3);
}

}  // namespace
}  // namespace resnext
