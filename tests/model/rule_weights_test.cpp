// The weights rule gives Python's values to the last bit (golden/rule.json), and the golden file of
// PyTorch's numbers is complete.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/rule_weights.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/golden.h"

namespace resnext {
namespace {

using nlohmann::json;

const std::string kGolden = RESNEXT_SOURCE_DIR "/tests/model/golden/";

json rule() {
  return json::parse(std::ifstream(kGolden + "rule.json"));
}

template <typename T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const T* data = tensor.const_data_ptr<T>();
  return {data, data + tensor.numel()};
}

TEST(RuleWeights, TensorsAreThoseOfPython) {
  const json document = rule();
  for (const auto& [name, entry] : document.at("tensors").items()) {
    at::Tensor tensor =
        at::empty(entry.at("shape").get<std::vector<int64_t>>(), at::TensorOptions(at::kDouble));
    fill_by_rule(tensor, name);
    EXPECT_EQ(values_of<double>(tensor), entry.at("values").get<std::vector<double>>()) << name;
  }
}

TEST(RuleWeights, ImagesAndLabelsAreThoseOfPython) {
  const json document = rule();
  EXPECT_EQ(values_of<double>(rule_images(2, 3)), document.at("images").get<std::vector<double>>());
  EXPECT_EQ(values_of<int64_t>(rule_labels(16, 1000)),
            document.at("labels").get<std::vector<int64_t>>());
  EXPECT_EQ(rule_value("far", 1'000'000), document.at("millionth").get<double>());
}

TEST(RuleWeights, StridesDoNotChangeWhatAnIndexHolds) {
  at::Tensor plain = at::empty({4, 3, 2, 2}, at::TensorOptions(at::kFloat));
  at::Tensor channels_last =
      at::empty({4, 3, 2, 2}, at::TensorOptions(at::kFloat), at::MemoryFormat::ChannelsLast);
  fill_by_rule(plain, "conv1.weight");
  fill_by_rule(channels_last, "conv1.weight");
  EXPECT_TRUE(at::equal(plain, channels_last));
}

TEST(Golden, HasLogitsOfBothPrecisionsAndLossesOfThreeWorlds) {
  const Golden golden = read_golden(kGolden + "parity.json");
  ASSERT_EQ(golden.logits.size(), 6u);
  for (const GoldenLogits& entry : golden.logits) {
    EXPECT_EQ(entry.logits.size(), static_cast<size_t>(entry.images * entry.model.classes));
  }
  ASSERT_EQ(golden.steps.size(), 3u);
  for (const GoldenSteps& entry : golden.steps) {
    EXPECT_EQ(entry.losses.size(), 6u);
    EXPECT_EQ(entry.world * entry.per_rank, 8);
  }
}

TEST(Golden, MissingFileIsNamed) {
  EXPECT_THROW(read_golden("missing.json"), std::runtime_error);
}

}  // namespace
}  // namespace resnext
