// What changes the meaning of labels or of a place in an epoch, in words.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/data_record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace resnext {
namespace {

DataRecord some() {
  DataRecord data;
  data.train = {1000, 7, "jpeg"};
  data.validation = {50, 8, "raw"};
  data.class_names = {"cat", "dog", "owl"};
  data.mean = {0.1, 0.2, 0.3};
  data.std = {0.4, 0.5, 1.0 / 3};
  data.classes = 3;
  data.recipe = RecipeName::kTorchvisionV2;
  data.size = 224;
  data.resize = 256;
  return data;
}

// The difference that `change` makes.
template <class F>
std::string after(F change) {
  DataRecord now = some();
  change(now);
  return difference(some(), now);
}

TEST(DataRecord, NamesWhatDiffers) {
  EXPECT_EQ(difference(some(), some()), "");
  EXPECT_EQ(after([](auto& d) { d.train.count = 500; }), "1000 training images, then 500");
  EXPECT_EQ(after([](auto& d) { d.train.labels = 9; }), "other labels of the training images");
  EXPECT_EQ(after([](auto& d) { d.train.storage = "raw"; }),
            "training images stored as jpeg, then as raw");
  EXPECT_EQ(after([](auto& d) { d.class_names[1] = "emu"; }), "class 1 was 'dog', is 'emu'");
  EXPECT_EQ(after([](auto& d) { d.class_names.pop_back(); }), "class 2 was 'owl', is no class");
  EXPECT_EQ(after([](auto& d) { d.class_names.push_back("pig"); }),
            "class 3 was no class, is 'pig'");
  EXPECT_EQ(after([](auto& d) { d.classes = 10; }), "3 classes, then 10");
  EXPECT_EQ(after([](auto& d) { d.validation.count = 40; }), "50 validation images, then 40");
  EXPECT_NE(after([](auto& d) { d.mean[2] = 0.31; }), "");
  EXPECT_NE(after([](auto& d) { d.std[0] = 0.41; }), "");
}

TEST(DataRecord, AllowsWhatMayChange) {
  EXPECT_EQ(after([](auto& d) { d.recipe = RecipeName::kNone; }), "");
  EXPECT_EQ(after([](auto& d) { d.size = 192; }), "");
  EXPECT_EQ(after([](auto& d) { d.resize = 200; }), "");
  EXPECT_EQ(after([](auto& d) { d.validation = {}; }), "");  // there is none
  EXPECT_EQ(after([](auto& d) { d.class_names.clear(); }), "");
}

TEST(DataRecord, ComesBackFromItsText) {
  const DataRecord back = to_data_record(nlohmann::ordered_json::parse(to_json(some()).dump()));
  EXPECT_EQ(difference(some(), back), "");
  EXPECT_EQ(back.train, some().train);
  EXPECT_EQ(back.validation, some().validation);
  EXPECT_EQ(back.mean, some().mean);  // to the bit
  EXPECT_EQ(back.std, some().std);
  EXPECT_EQ(back.recipe, RecipeName::kTorchvisionV2);
  EXPECT_EQ(back.size, 224);
  EXPECT_EQ(back.resize, 256);
  EXPECT_THROW(to_data_record(nlohmann::ordered_json::parse("{}")), nlohmann::json::exception);
}

}  // namespace
}  // namespace resnext
