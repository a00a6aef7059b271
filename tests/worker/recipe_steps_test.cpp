// Whole recipes in float64 against PyTorch's pieces (golden/recipes.json): mixed images and labels,
// stochastic depth, the loss, clipping, the optimizer, the rate over an epoch's border and the
// moving average, on 1, 2 and 4 ranks.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "comm/mpi_communicator.h"
#include "comm/tensor_collectives.h"
#include "configs/lr_schedule.h"
#include "tests/support/mpi_environment.h"
#include "tests/support/rule_weights.h"
#include "tests/support/training.h"
#include "worker/step/weight_average.h"

namespace resnext {
namespace {

using Json = nlohmann::json;

constexpr int64_t kBatch = 16, kStepsPerEpoch = 4, kSteps = 8, kPixels = 16;

template <class T, class Enum>
Enum choice(const Json& json, const char* key, std::initializer_list<std::pair<T, Enum>> values) {
  for (const auto& [name, value] : values) {
    if (json.at(key) == name) return value;
  }
  throw std::runtime_error(std::string("unknown ") + key);
}

void read_optimizer(const Json& json, OptimizerOptions& o) {
  o.kind = choice<const char*, OptimizerKind>(json, "kind",
                                              {{"sgd", OptimizerKind::kSgd},
                                               {"lars", OptimizerKind::kLars},
                                               {"lamb", OptimizerKind::kLamb},
                                               {"adamw", OptimizerKind::kAdamw}});
  o.loss = choice<const char*, LossKind>(
      json, "loss", {{"cross_entropy", LossKind::kCrossEntropy}, {"bce", LossKind::kBce}});
  o.base_lr = json.at("lr").get<double>() / 2;
  o.base_batch = kBatch / 2;
  o.momentum = json.value("momentum", o.momentum);
  o.nesterov = json.value("nesterov", o.nesterov);
  o.weight_decay = json.at("weight_decay");
  o.decay_norms = json.value("decay_norms", true);
  o.decay_biases = json.value("decay_biases", false);
  o.beta1 = json.value("beta1", o.beta1);
  o.beta2 = json.value("beta2", o.beta2);
  o.trust = json.value("trust", o.trust);
  o.clip_norm = json.value("clip_norm", 0.0);
  o.label_smoothing = json.value("label_smoothing", 0.0);
  o.bce_threshold = json.value("bce_threshold", 0.0);
}

RunConfig config_of(const Json& json) {
  RunConfig config = test::small_config(Compute::kFp64);
  config.run.epochs = kSteps / kStepsPerEpoch;
  config.data.size = kPixels;
  config.batch.per_rank = kBatch / json.at("world").get<int64_t>();
  config.mix.mixup = 1;  // its draws are given
  config.model.stochastic_depth = json.value("stochastic_depth", 0.0);
  read_optimizer(json, config.optimizer);
  ScheduleOptions& s = config.schedule;
  s.kind = choice<const char*, ScheduleKind>(json, "schedule",
                                             {{"step", ScheduleKind::kStep},
                                              {"cosine", ScheduleKind::kCosine},
                                              {"polynomial", ScheduleKind::kPolynomial},
                                              {"one_cycle", ScheduleKind::kOneCycle}});
  s.per_epoch = json.at("per_epoch");
  s.milestones = json.value("milestones", s.milestones);
  s.gamma = json.value("gamma", s.gamma);
  s.power = json.value("power", s.power);
  s.min_lr = json.value("min_lr", 0.0);
  s.warmup_epochs = json.at("warmup_epochs");
  s.warmup_start = json.value("warmup_start", -1.0);
  config.ema.decay = json.at("ema_decay");
  config.ema.every_steps = json.at("ema_every");
  return config;
}

// The largest difference of the first numbers of each tensor that `expected` has.
double difference(const StateDict& ours, const Json& expected) {
  double largest = 0;
  size_t found = 0;
  for (const auto& [name, tensor] : ours) {
    if (!expected.contains(name)) continue;
    ++found;
    const std::vector<double> numbers = expected.at(name);
    const at::Tensor flat = tensor.detach().contiguous().view({-1});
    for (size_t i = 0; i < numbers.size(); ++i) {
      const double ours_here = flat[static_cast<int64_t>(i)].item<double>();
      largest = std::max(largest, std::abs(ours_here - numbers[i]));
    }
  }
  EXPECT_EQ(found, expected.size());
  return largest;
}

struct Differences {
  double losses = 0, weights = 0, average = 0;
};

Differences train(const Json& json, Communicator& communicator) {
  const RunConfig config = config_of(json);
  test::Training training(config, communicator, at::kCPU);
  for (auto& [name, tensor] : training.model.state_dict()) fill_by_rule(tensor, name);
  ResNeXt network(config.model, 2);
  network.to(at::kCPU, at::kDouble, true);
  WeightAverage average(config.ema, std::move(network), training.model);
  const int64_t images = kBatch * kStepsPerEpoch;
  const LrSchedule schedule(config.optimizer, config.schedule, kBatch, images, config.run.epochs);
  const at::Tensor all = rule_images(images, kPixels), labels = rule_labels(images, 4);
  Differences found;
  for (int64_t step = 0; step < kSteps; ++step) {
    const Position position{step / kStepsPerEpoch, step % kStepsPerEpoch * kBatch};
    const int64_t begin = position.images + communicator.rank() * config.batch.per_rank;
    const auto mine = [&](const at::Tensor& t) {
      return t.slice(0, begin, begin + config.batch.per_rank);
    };
    const std::vector<double> draw = json.at("draws").at(static_cast<size_t>(step));
    const auto side = [&](size_t i) { return static_cast<int64_t>(draw[i]); };
    training.step->draw(position);
    training.step->mixer().use({draw[0], side(1), side(2), side(3), side(4)});
    const std::vector<Input> input = {
        {mine(all).contiguous(at::MemoryFormat::ChannelsLast), mine(labels), 0}};
    training.run(input.begin(), schedule.at(position));
    average.follow(position, kBatch);
    found.losses = std::max(
        found.losses,
        std::abs(training.loss() - json.at("losses").at(static_cast<size_t>(step)).get<double>()));
  }
  found.weights = difference(training.model.state_dict(), json.at("weights"));
  found.average = difference(average.state_dict(), json.at("average"));
  return found;
}

TEST(RecipeSteps, GiveTheLossesWeightsAndAveragesOfTheirOrigins) {
  MpiCommunicator communicator(240);
  std::ifstream file(std::string(RESNEXT_SOURCE_DIR) + "/tests/worker/golden/recipes.json");
  int compared = 0;
  const Json golden = Json::parse(file);
  for (const Json& recipe : golden.at("recipes")) {
    if (recipe.at("world") != communicator.size()) continue;
    ++compared;
    SCOPED_TRACE(recipe.at("name"));
    const Differences found = train(recipe, communicator);
    EXPECT_LT(found.losses, 1e-10);
    EXPECT_LT(found.weights, 1e-10);
    EXPECT_LT(found.average, 1e-10);
    if (communicator.rank() == 0) {
      std::printf("%s: losses %.1e, weights %.1e, average %.1e\n",
                  recipe.at("name").get<std::string>().c_str(), found.losses, found.weights,
                  found.average);
    }
  }
  EXPECT_EQ(compared, 8);
}

}  // namespace
}  // namespace resnext
