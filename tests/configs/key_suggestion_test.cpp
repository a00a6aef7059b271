// Edit distance against its laws, and suggestions for every possible slip of one letter.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/key_suggestion.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "comm/common/edit_distance.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

TEST(EditDistance, KnownPairs) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("saturday", "sunday"), 3);
}

// Independent definition: plain recursion.
int reference(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return static_cast<int>(a.size() + b.size());
  if (a.front() == b.front()) return reference(a.substr(1), b.substr(1));
  return 1 + std::min({reference(a.substr(1), b), reference(a, b.substr(1)),
                       reference(a.substr(1), b.substr(1))});
}

RC_GTEST_PROP(EditDistanceProperty, EqualsTheRecursiveDefinition, ()) {
  const auto word = rc::gen::resize(6, rc::gen::container<std::string>(rc::gen::element('a', 'b')));
  const std::string a = *word;
  const std::string b = *word;
  RC_ASSERT(edit_distance(a, b) == reference(a, b));
}

// Whether another key is as near.
bool is_ambiguous(const RunKey& key, const std::string& wrong) {
  return std::ranges::any_of(run_keys(), [&](const RunKey& other) {
    return other.name != key.name && section_of(other.name) == section_of(key.name) &&
           edit_distance(std::string(leaf_of(other.name)), wrong) <= 1;
  });
}

TEST(SuggestKey, AMissingLetterAnywhereIsForgiven) {
  for (const RunKey& key : run_keys()) {
    const std::string leaf(leaf_of(key.name));
    for (size_t i = 0; leaf.size() > 3 && i < leaf.size(); ++i) {
      std::string wrong = leaf;
      wrong.erase(i, 1);
      if (is_ambiguous(key, wrong)) continue;
      const std::string section(section_of(key.name));
      const std::string hint = suggest_key(section + "." + wrong);
      EXPECT_NE(hint.find(key.name), std::string::npos) << wrong << ": " << hint;
    }
  }
}

TEST(SuggestKey, AKeyInTheWrongSectionIsSentHome) {
  for (const RunKey& key : run_keys()) {
    const auto has_leaf = [&](const RunKey& k) { return leaf_of(k.name) == leaf_of(key.name); };
    if (std::ranges::count_if(run_keys(), has_leaf) > 1) continue;  // several sections have one
    const std::string wrong = "batches." + std::string(leaf_of(key.name));
    const std::string hint = suggest_key(wrong);
    EXPECT_NE(hint.find("write " + std::string(key.name)), std::string::npos) << wrong << hint;
  }
}

TEST(KeysOfSection, ListsLeavesAndSubsections) {
  EXPECT_EQ(keys_of_section("model.stem"), "kernel, stride, width, pool");
  EXPECT_EQ(
      keys_of_section(""),
      "run, model, data, batch, optimizer, mix, schedule, ema, precision, comm, checkpoint, log");
}

}  // namespace
}  // namespace resnext
