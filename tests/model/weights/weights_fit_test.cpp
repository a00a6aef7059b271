// What fits a network, what does not and what is then said; form B and form C.
// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/weights_fit.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "comm/common/error.h"
#include "model/weights/block_forms.h"

namespace resnext {
namespace {

at::Tensor zeros(at::IntArrayRef shape) {
  return at::full(shape, 0.0);
}

StateDict network() {
  return {{"conv1.weight", zeros({2, 3, 1, 1})},
          {"bn1.num_batches_tracked", zeros({})},
          {"layer1.0.conv1.weight", zeros({2, 2, 1, 1})},
          {"fc.weight", zeros({4, 2})},
          {"fc.bias", zeros({4})}};
}

// The network's tensors, all 7, but those that `changed` gives: undefined ones are left out.
StateDict file_with(const StateDict& changed) {
  StateDict file;
  for (const auto& [name, tensor] : network()) {
    const auto other = std::ranges::find(changed, name, [](const auto& e) { return e.first; });
    if (other == changed.end()) file.emplace_back(name, at::full(tensor.sizes(), 7.0));
  }
  for (const auto& entry : changed) {
    if (entry.second.defined()) file.push_back(entry);
  }
  return file;
}

// The refusal; empty when it was taken. A network that refuses keeps its values.
std::string copy_error(const StateDict& file, bool reset = false) {
  const StateDict model = network();
  try {
    copy_weights(model, file, "file.pt", reset);
  } catch (const CheckpointError& error) {
    for (const auto& [name, tensor] : model) EXPECT_EQ(tensor.sum().item<double>(), 0) << name;
    return error.what();
  }
  return "";
}

void expect_has(const std::string& text, std::initializer_list<const char*> fragments) {
  for (const char* fragment : fragments) {
    EXPECT_NE(text.find(fragment), std::string::npos) << text << "\nlacks " << fragment;
  }
}

constexpr const char* kReset = "set model.reset_classifier=true";
constexpr const char* kCheck = "check model.{family";

bool has(const std::string& text, const char* fragment) {
  return text.find(fragment) != std::string::npos;
}

TEST(WeightsFit, ValuesAreCopiedAndConverted) {
  const StateDict model = network();
  StateDict file = file_with({});
  for (auto& [name, tensor] : file) tensor = tensor.to(at::kHalf);
  copy_weights(model, file, "file.pt");
  for (const auto& [name, tensor] : model) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat);
    EXPECT_EQ(tensor.sum().item<double>(), 7.0 * tensor.numel()) << name;
  }
  EXPECT_EQ(copy_error(file_with({{"bn1.num_batches_tracked", {}}})), "");
}

TEST(WeightsFit, AllMismatchesAreListedAtOnce) {
  const std::string text = copy_error(file_with({{"conv1.weight", zeros({5, 3, 1, 1})},
                                                 {"layer1.0.conv1.weight", {}},
                                                 {"fc.weight", zeros({9, 2})},
                                                 {"fc.bias", zeros({9})},
                                                 {"layer9.0.conv1.weight", zeros({1})},
                                                 {"other.bias", zeros({1})}}));
  expect_has(text, {"file.pt", "has no tensor layer1.0.conv1.weight",
                    "conv1.weight has shape [5, 3, 1, 1], the model's is [2, 3, 1, 1]",
                    "fc.weight has shape [9, 2], the model's is [4, 2]", "fc.bias has shape [9]",
                    "layer9.0.conv1.weight, other.bias", kReset, kCheck});
}

// Which would be answered with numbers all the same.
TEST(WeightsFit, WeightsThatNothingCanBeComputedWithAreRefused) {
  const at::Tensor spoiled = at::full({2, 3, 1, 1}, 7.0);
  spoiled.select(0, 1).fill_(std::numeric_limits<float>::quiet_NaN());
  expect_has(copy_error(file_with({{"conv1.weight", spoiled},
                                   {"fc.bias", at::full({4}, HUGE_VAL)},
                                   {"layer1.0.conv1.weight", zeros({2, 2, 1, 1}).to(at::kChar)}})),
             {"file.pt", "conv1.weight has values that are infinite or no numbers",
              "fc.bias has values that are infinite", "layer1.0.conv1.weight has whole numbers"});
  EXPECT_EQ(copy_error(file_with({{"fc.bias", at::full({4}, HUGE_VAL)}}), /*reset=*/true), "");
  const StateDict model = {{"bn1.running_var", zeros({3})}};
  EXPECT_THROW(copy_weights(model, {{"bn1.running_var", at::full({3}, -1.0)}}, "file.pt"),
               CheckpointError);
  copy_weights(model, {{"bn1.running_var", zeros({3})}}, "file.pt");
}

TEST(WeightsFit, LongListsAreCut) {
  StateDict more;
  for (int i = 0; i < 5000; ++i) {
    more.emplace_back("layer5." + std::to_string(i) + std::string(500, 'x'), zeros({1}));
  }
  const std::string text = copy_error(file_with(more));
  EXPECT_LT(text.size(), 2000u);
  expect_has(text, {"layer5.0", "layer5.7", "and 4992 more"});
}

TEST(WeightsFit, AClassifierOfAnotherSizeIsAnsweredWithTheAdviceToResetIt) {
  const StateDict larger = {{"fc.weight", zeros({9, 2})}, {"fc.bias", zeros({9})}};
  const std::string text = copy_error(file_with(larger));
  EXPECT_TRUE(has(text, kReset) && !has(text, kCheck)) << text;
  EXPECT_EQ(copy_error(file_with(larger), true), "");
}

// D13: whatever its name is.
TEST(WeightsFit, AClassifierOfAnotherNameIsLeftOutWhenItIsReset) {
  for (const char* head : {"head", "classifier.1", "last_linear", "aux.0"}) {
    const std::string name = head;
    const StateDict renamed = {{"fc.weight", {}},
                               {"fc.bias", {}},
                               {name + ".weight", zeros({4, 2})},
                               {name + ".bias", zeros({4})}};
    const std::string text = copy_error(file_with(renamed));
    expect_has(text, {"has no tensor fc.weight, fc.bias", head, kReset});
    EXPECT_FALSE(has(text, kCheck)) << text;
    EXPECT_EQ(copy_error(file_with(renamed), true), "");
  }
  EXPECT_EQ(copy_error(file_with({{"fc.weight", {}}, {"fc.bias", {}}}), true), "");
}

TEST(WeightsFit, ANewClassifierKeepsItsValues) {
  const StateDict model = network();
  copy_weights(model, file_with({}), "file.pt", true);
  EXPECT_EQ(model[3].second.sum().item<double>(), 0);
  EXPECT_EQ(model[2].second.sum().item<double>(), 28);
}

// A deeper network's weights are no fit, classifier or not; then no advice to reset it again.
TEST(WeightsFit, ABackboneThatDiffersIsRefusedAlsoWithANewClassifier) {
  for (const StateDict& changed :
       {StateDict{{"layer1.1.conv1.weight", zeros({1})}}, StateDict{{"layer1.0.conv1.weight", {}}},
        StateDict{{"conv1.weight", zeros({1})}}}) {
    const std::string text = copy_error(file_with(changed), true);
    EXPECT_TRUE(has(text, kCheck) && !has(text, kReset)) << text;
  }
}

// ---- forms of a block -------------------------------------------------------------------------

at::Tensor numbers(at::IntArrayRef shape, double first) {
  return at::arange(first, first + static_cast<double>(c10::multiply_integers(shape)))
      .reshape(shape);
}

StateDict form_b() {
  return {{"layer1.0.paths.0.conv1.weight", numbers({2, 3}, 0)},
          {"layer1.0.paths.0.bn1.num_batches_tracked", at::full({}, 5)},
          {"layer1.0.paths.1.conv1.weight", numbers({2, 3}, 6)},
          {"layer1.0.paths.1.bn1.num_batches_tracked", at::full({}, 5)},
          {"layer1.0.conv3.weight", numbers({2}, 50)}};
}

StateDict form_c() {
  return {{"layer1.0.conv1.weight", numbers({4, 3}, 0)},
          {"layer1.0.bn1.num_batches_tracked", at::full({}, 5)},
          {"layer1.0.conv3.weight", numbers({2}, 50)}};
}

void expect_equal(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(a[i].second.equal(b[i].second)) << a[i].first;
  }
}

TEST(BlockForms, EachGoesIntoTheOther) {
  expect_equal(in_form_c(form_b()), form_c());
  for (const auto& [from, to] : {std::pair(form_b(), form_c()), std::pair(form_c(), form_b())}) {
    StateDict model = to;
    for (auto& [name, tensor] : model) tensor = at::full_like(tensor, 0);
    copy_weights(model, from, "file.pt");
    expect_equal(model, to);
  }
}

TEST(BlockForms, WhatCannotBeSplitDoesNotFit) {
  StateDict odd = form_c();
  odd[0].second = numbers({5, 3}, 0);
  EXPECT_THROW(copy_weights(form_b(), odd, "file.pt"), CheckpointError);
}

}  // namespace
}  // namespace resnext
