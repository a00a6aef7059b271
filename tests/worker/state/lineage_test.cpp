// Which saves are ancestors of what comes next.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/lineage.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace resnext {
namespace {

TEST(Lineage, HoldsItsLineUpToWhereAnotherBegan) {
  const Lineage first;
  EXPECT_TRUE(first.holds(0, 1));
  EXPECT_TRUE(first.holds(0, 1'000'000));
  EXPECT_FALSE(first.holds(1, 1));
  const Lineage second = first.at(3).branch(6);  // back to save 3
  EXPECT_EQ(second.line(), 6);
  EXPECT_TRUE(second.holds(0, 3));
  EXPECT_FALSE(second.holds(0, 4));
  EXPECT_TRUE(second.holds(6, 7));
  EXPECT_FALSE(second.at(8).holds(6, 9));
  EXPECT_TRUE(second.at(8).open().holds(6, 9));
}

// Random histories of saves and ways back, beside a tree of parents.
TEST(Lineage, AgreesWithATreeOfParents) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    struct Save {
      int64_t serial, parent;
      Lineage lineage;
    };
    std::vector<Save> saves;
    std::vector<int64_t> index_of(200, -1);
    Lineage present;
    int64_t serial = 1, head = 0;
    for (int event = 0; event < 60; ++event) {
      if (!saves.empty() && random() % 5 == 0) {
        const Save& back = saves[random() % saves.size()];
        present = back.lineage.branch(serial++);
        head = back.serial;
      } else {
        index_of[static_cast<size_t>(serial)] = static_cast<int64_t>(saves.size());
        saves.push_back({serial, head, present.at(serial)});
        head = serial++;
      }
      std::set<int64_t> ancestors;
      for (int64_t at = head; at > 0;) {
        ancestors.insert(at);
        at = saves[static_cast<size_t>(index_of[static_cast<size_t>(at)])].parent;
      }
      for (const Save& save : saves) {
        ASSERT_EQ(present.holds(save.lineage.line(), save.serial), ancestors.contains(save.serial))
            << "seed " << seed << ", save " << save.serial;
      }
    }
  }
}

TEST(Lineage, ComesBackFromItsText) {
  const Lineage lineage = Lineage().at(3).branch(5).at(9).branch(12);
  const Lineage back = to_lineage(nlohmann::ordered_json::parse(to_json(lineage).dump()));
  ASSERT_EQ(back.lines().size(), 3u);
  EXPECT_EQ(back.line(), 12);
  for (const int64_t line : {0, 5, 12}) {
    for (int64_t serial = 0; serial < 20; ++serial) {
      EXPECT_EQ(back.holds(line, serial), lineage.holds(line, serial));
    }
  }
  EXPECT_EQ(to_lineage(nlohmann::ordered_json::array()).line(), 0);
  EXPECT_THROW(to_lineage(nlohmann::ordered_json::parse("[[1]]")), nlohmann::json::exception);
}

}  // namespace
}  // namespace resnext
