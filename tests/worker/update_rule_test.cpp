// Each optimizer against PyTorch's (golden/optimizers.json) or, for LARS and LAMB, against loops
// over float64 numbers; and what all of them promise of skips, state and buckets.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/update_rule.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "comm/single_process_communicator.h"
#include "worker/step/optimizer.h"

namespace resnext {
namespace {

using Json = nlohmann::json;
using Numbers = std::vector<double>;

constexpr int kSteps = 50;
const std::vector<std::string> kNames = {"conv.weight", "bn.weight", "bn.bias", "fc.weight",
                                         "fc.bias"};
const std::vector<std::vector<int64_t>> kShapes = {{3, 2, 2, 2}, {3}, {3}, {4, 3}, {4}};

// The closed forms of make_golden.py.
double start(size_t p, size_t i) {
  return 0.5 * std::cos(1 + static_cast<double>(p) + 0.7 * static_cast<double>(i));
}
double gradient(int step, size_t p, size_t i) {
  return (0.1 + 0.05 * static_cast<double>(p)) *
         std::sin(1 + 0.9 * step + 2 * static_cast<double>(p) + 0.37 * static_cast<double>(i));
}
double rate(int step) {
  return 0.02 / (1 + step % 7);
}

void fill(const at::Tensor& tensor, const std::function<double(size_t)>& numbers) {
  const at::Tensor values = at::zeros({tensor.numel()}, at::kDouble);
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values.mutable_data_ptr<double>()[i] = numbers(static_cast<size_t>(i));
  }
  tensor.detach().copy_(values.view(tensor.sizes()));
}

std::vector<at::Tensor> start_parameters(at::ScalarType type = at::kDouble) {
  std::vector<at::Tensor> parameters;
  for (size_t p = 0; p < kNames.size(); ++p) {
    parameters.push_back(at::zeros(kShapes[p], type));
    fill(parameters[p], [p](size_t i) { return start(p, i); });
    parameters[p].set_requires_grad(true);
  }
  return parameters;
}

// An optimizer over the gradients of a world of one.
struct Trained {
  bool clips;
  std::vector<at::Tensor> parameters;
  SingleProcessCommunicator communicator;
  GradientReducer reducer;
  Optimizer optimizer;

  explicit Trained(const OptimizerOptions& options, at::ScalarType type = at::kDouble)
      : clips(options.clip_norm > 0),
        parameters(start_parameters(type)),
        reducer(communicator, parameters, {}),
        optimizer(options, parameters, kNames, reducer) {}

  // `times`: of the gradients; where they are not finite, clipping sees it, and else the loss did.
  // True: it was skipped.
  bool step(int number, double times = 1) {
    reducer.begin();
    for (size_t p = 0; p < kNames.size(); ++p) {
      fill(parameters[p].grad(), [&](size_t i) { return times * gradient(number, p, i); });
    }
    optimizer.set_lr(rate(number));
    at::Tensor skip = at::full({}, clips || std::isfinite(times) ? 0.0 : 1.0, at::kFloat);
    norm = optimizer.clip(skip).item<double>();
    optimizer.step(skip);
    return skip.item<float>() > 0;
  }
  Numbers numbers(size_t p) const {
    const at::Tensor flat = parameters[p].detach().to(at::kDouble).contiguous().view({-1});
    return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
  }
  // Weights and state.
  StateDict everything() const {
    StateDict all = optimizer.state_dict();
    for (size_t p = 0; p < kNames.size(); ++p) all.emplace_back(kNames[p], parameters[p]);
    for (auto& [name, tensor] : all) tensor = tensor.detach().clone();
    return all;
  }

  double norm = 0;
};

void expect_equal(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].second.equal(b[i].second)) << a[i].first;
}

OptimizerKind kind_named(const std::string& name) {
  for (const auto kind : {OptimizerKind::kSgd, OptimizerKind::kLars, OptimizerKind::kLamb}) {
    if (name_of(kind) == name) return kind;
  }
  return OptimizerKind::kAdamw;
}

OptimizerOptions options_of(const Json& json) {
  OptimizerOptions o;
  o.kind = kind_named(json.at("kind"));
  o.momentum = json.value("momentum", o.momentum);
  o.nesterov = json.value("nesterov", o.nesterov);
  o.weight_decay = json.value("weight_decay", o.weight_decay);
  o.beta1 = json.value("beta1", o.beta1);
  o.beta2 = json.value("beta2", o.beta2);
  o.eps = json.value("eps", o.eps);
  o.decay_norms = json.value("decay_norms", o.decay_norms);
  o.decay_biases = json.value("decay_biases", o.decay_biases);
  o.clip_norm = json.value("clip_norm", o.clip_norm);
  return o;
}

TEST(UpdateRule, GivesPyTorchsWeightsAfterFiftySteps) {
  std::ifstream file(std::string(RESNEXT_SOURCE_DIR) + "/tests/worker/golden/optimizers.json");
  const Json cases = Json::parse(file).at("cases");
  ASSERT_EQ(cases.size(), 4u);
  for (const Json& entry : cases) {
    Trained trained(options_of(entry));
    for (int step = 0; step < kSteps; ++step) trained.step(step);
    for (size_t p = 0; p < kNames.size(); ++p) {
      const Numbers expected = entry.at("weights").at(kNames[p]), numbers = trained.numbers(p);
      ASSERT_EQ(numbers.size(), expected.size());
      for (size_t i = 0; i < numbers.size(); ++i) {
        EXPECT_NEAR(numbers[i], expected[i], 1e-13) << entry.at("name") << " " << kNames[p];
      }
    }
  }
}

// ---- LARS and LAMB, number by number ----------------------------------------------------------

double norm(const Numbers& numbers) {
  double sum = 0;
  for (const double x : numbers) sum += x * x;
  return std::sqrt(sum);
}

bool decays(const OptimizerOptions& o, size_t p) {
  return o.decay_norms || p == 0 || p == 3 || (p == 4 && o.decay_biases);
}

// A parameter, its state and the formulas.
struct Reference {
  Numbers w, m, v;

  static double eps(const OptimizerOptions& o, double otherwise) {
    return o.eps > 0 ? o.eps : otherwise;
  }

  void lars(const OptimizerOptions& o, double lr, Numbers g, bool adapts) {
    const double decay = adapts ? o.weight_decay : 0;
    const double ratio =
        adapts ? o.trust * norm(w) / (norm(g) + decay * norm(w) + eps(o, 1e-7)) : 1;
    for (size_t i = 0; i < w.size(); ++i) {
      const double change = lr * ratio * (g[i] + decay * w[i]);
      m[i] = o.momentum * m[i] + change;
      w[i] -= o.nesterov ? change + o.momentum * m[i] : m[i];
    }
  }

  void lamb(const OptimizerOptions& o, double lr, Numbers g, bool adapts, int t) {
    Numbers u(w.size());
    for (size_t i = 0; i < w.size(); ++i) {
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      u[i] = m[i] / (1 - std::pow(o.beta1, t)) /
             (std::sqrt(v[i] / (1 - std::pow(o.beta2, t))) + eps(o, 1e-6));
      if (adapts) u[i] += o.weight_decay * w[i];
    }
    const double ratio = adapts && o.weight_decay > 0 ? norm(w) / norm(u) : 1;
    for (size_t i = 0; i < w.size(); ++i) w[i] -= lr * ratio * u[i];
  }
};

// Fifty steps of which the first and the tenth are skipped, in float64 or in float32, of which the
// CPU has loops of its own.
void expect_the_formula(const OptimizerOptions& options, at::ScalarType type) {
  const double tolerance = type == at::kDouble ? 1e-13 : 3e-6;
  Trained trained(options, type);
  std::vector<Reference> references;
  for (size_t p = 0; p < kNames.size(); ++p) {
    const Numbers w = trained.numbers(p);
    references.push_back({w, Numbers(w.size()), Numbers(w.size())});
  }
  int taken = 0;
  for (int step = 0; step < kSteps; ++step) {
    const bool skip = step == 0 || step == 10;
    trained.step(step, skip ? std::numeric_limits<double>::quiet_NaN() : 1);
    if (!skip) ++taken;
    std::vector<Numbers> gradients;
    double square = 0;
    for (size_t p = 0; p < kNames.size(); ++p) {
      Numbers& g = gradients.emplace_back(references[p].w.size());
      for (size_t i = 0; i < g.size(); ++i) square += std::pow(g[i] = gradient(step, p, i), 2);
    }
    const double clip_eps = options.kind == OptimizerKind::kLamb ? 0 : 1e-6;
    const double factor = options.clip_norm > 0
                              ? std::min(1.0, options.clip_norm / (std::sqrt(square) + clip_eps))
                              : 1;
    for (size_t p = 0; p < kNames.size() && !skip; ++p) {
      for (double& g : gradients[p]) g *= factor;
      if (options.kind == OptimizerKind::kLars) {
        references[p].lars(options, rate(step), gradients[p], decays(options, p));
      } else {
        references[p].lamb(options, rate(step), gradients[p], decays(options, p), taken);
      }
    }
    for (size_t p = 0; p < kNames.size(); ++p) {
      const Numbers numbers = trained.numbers(p);
      for (size_t i = 0; i < numbers.size(); ++i) {
        ASSERT_NEAR(numbers[i], references[p].w[i], tolerance) << kNames[p] << " step " << step;
      }
    }
  }
}

TEST(UpdateRule, LarsFollowsMlperfsFormula) {
  OptimizerOptions options;
  options.kind = OptimizerKind::kLars;
  options.trust = 0.7;
  options.weight_decay = 0.05;
  for (const bool nesterov : {true, false}) {
    for (const bool decay_norms : {true, false}) {
      options.nesterov = nesterov;
      options.decay_norms = decay_norms;
      options.decay_biases = nesterov;
      options.clip_norm = nesterov ? 0 : 0.9;
      options.eps = decay_norms ? 0 : 0.03;
      for (const auto type : {at::kDouble, at::kFloat}) expect_the_formula(options, type);
    }
  }
}

TEST(UpdateRule, LambFollowsItsFormula) {
  OptimizerOptions options;
  options.kind = OptimizerKind::kLamb;
  for (const double decay : {0.0, 0.02}) {
    for (const bool decay_norms : {true, false}) {
      options.weight_decay = decay;
      options.decay_norms = decay_norms;
      options.clip_norm = decay_norms ? 0 : 0.9;
      options.eps = decay_norms ? 0 : 0.03;
      options.beta2 = decay_norms ? 0.999 : 0.95;
      for (const auto type : {at::kDouble, at::kFloat}) expect_the_formula(options, type);
    }
  }
}

// A parameter of zeros has no norm to scale by.
TEST(UpdateRule, ScalesNothingByNormsOfZero) {
  for (const auto kind : {OptimizerKind::kLars, OptimizerKind::kLamb}) {
    OptimizerOptions options;
    options.kind = kind;
    options.nesterov = false;
    options.weight_decay = 0.01;
    for (const auto type : {at::kDouble, at::kFloat}) {
      Trained trained(options, type);
      fill(trained.parameters[0], [](size_t) { return 0; });
      trained.step(1);
      const double change = kind == OptimizerKind::kLars ? gradient(1, 0, 0) : 1;
      EXPECT_NEAR(trained.numbers(0)[0], -rate(1) * change, 1e-6);
    }
  }
}

// Nor without a gradient: then LARS takes the whole rate.
TEST(UpdateRule, LarsScalesNothingByAGradientOfZero) {
  OptimizerOptions options;
  options.kind = OptimizerKind::kLars;
  options.nesterov = false;
  options.weight_decay = 0.01;
  for (const auto type : {at::kDouble, at::kFloat}) {
    Trained trained(options, type);
    trained.step(1, 0);
    EXPECT_NEAR(trained.numbers(0)[0], start(0, 0) * (1 - rate(1) * 0.01),
                type == at::kDouble ? 1e-15 : 1e-7);
  }
}

// ---- what all promise ---------------------------------------------------------------------------

class EachKind : public testing::TestWithParam<OptimizerKind> {
 protected:
  static OptimizerOptions options(bool decay_norms = false) {
    OptimizerOptions o;
    o.kind = GetParam();
    o.weight_decay = 0.01;
    o.decay_norms = decay_norms;
    o.clip_norm = 0.9;
    return o;
  }
};

TEST_P(EachKind, ASkippedStepChangesNothing) {
  for (const bool decay_norms : {true, false}) {
    for (const auto type : {at::kDouble, at::kFloat}) {
      Trained trained(options(decay_norms), type);
      for (int step = 0; step < 3; ++step) {
        const StateDict before = trained.everything();
        EXPECT_TRUE(trained.step(step, step == 1 ? INFINITY : NAN));
        expect_equal(before, trained.everything());
        EXPECT_FALSE(trained.step(step));
      }
    }
  }
}

// Through the bytes of a file, in the weights' own type.
TEST_P(EachKind, ItsSavedStateContinuesARunBitForBit) {
  for (const auto type : {at::kDouble, at::kFloat}) {
    Trained first(options(), type), second(options(), type);
    for (int step = 0; step < 5; ++step) first.step(step);
    std::string bytes;
    write_state_dict(first.optimizer.state_dict(), "optimizer.pt", [&](auto piece) {
      bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    second.optimizer.load(parse_state_dict(bytes, "optimizer.pt"), "optimizer.pt");
    for (size_t p = 0; p < kNames.size(); ++p) {
      second.parameters[p].detach().copy_(first.parameters[p].detach());
    }
    for (int step = 5; step < 9; ++step) {
      first.step(step);
      second.step(step);
      expect_equal(first.everything(), second.everything());
    }
  }
}

TEST_P(EachKind, RefusesTheStateOfAnotherKind) {
  for (const auto other :
       {OptimizerKind::kSgd, OptimizerKind::kLars, OptimizerKind::kLamb, OptimizerKind::kAdamw}) {
    if (other == GetParam()) continue;
    OptimizerOptions its = options();
    its.kind = other;
    Trained mine(options()), saved(its);
    try {
      mine.optimizer.load(saved.optimizer.state_dict(), "FOLDER/optimizer.pt");
      FAIL() << name_of(other) << " was taken for " << name_of(GetParam());
    } catch (const ConfigError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("optimizer.kind"), std::string::npos) << text;
      EXPECT_NE(text.find("saved by " + name_of(other)), std::string::npos) << text;
      EXPECT_NE(text.find("FOLDER/optimizer.pt"), std::string::npos) << text;
    }
  }
}

// Two steps of some of these parameters, of which the first two are in several buckets and pieces.
std::vector<at::Tensor> train_large(const OptimizerOptions& options, at::ScalarType type,
                                    const std::vector<size_t>& chosen) {
  const std::vector<std::vector<int64_t>> shapes = {{400, 400}, {300, 500}, {7}, {3, 5}, {40}};
  const auto value = [](size_t p, size_t i, double scale) {
    return scale * std::sin(1 + static_cast<double>(p) + 0.37 * static_cast<double>(i));
  };
  std::vector<at::Tensor> parameters;
  std::vector<std::string> names;
  for (const size_t p : chosen) {
    parameters.push_back(at::zeros(shapes[p], type));
    fill(parameters.back(), [&](size_t i) { return value(p, i, 0.5); });
    parameters.back().set_requires_grad(true);
    names.push_back("layer" + std::to_string(p) + ".weight");
  }
  SingleProcessCommunicator communicator;
  GradientReducer reducer(communicator, parameters, {});
  Optimizer optimizer(options, parameters, names, reducer);
  for (int step = 0; step < 2; ++step) {
    reducer.begin();
    for (size_t k = 0; k < chosen.size(); ++k) {
      fill(parameters[k].grad(), [&](size_t i) { return value(chosen[k], i + 5 * step, 0.1); });
    }
    optimizer.set_lr(rate(step));
    optimizer.step(at::zeros({}, at::kFloat));
  }
  return parameters;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return a.detach().sub(b.detach()).abs().max().item<double>();
}

TEST_P(EachKind, ChangesEachParameterAsIfItWereAlone) {
  for (const auto type : {at::kDouble, at::kFloat}) {
    const std::vector<at::Tensor> together = train_large(options(), type, {0, 1, 2, 3, 4});
    for (size_t p = 0; p < together.size(); ++p) {
      const at::Tensor alone = train_large(options(), type, {p}).front();
      EXPECT_LT(difference(alone, together[p]), type == at::kDouble ? 1e-14 : 1e-7) << p;
    }
  }
}

TEST_P(EachKind, DoesInFloat32WhatItDoesInFloat64) {
  const std::vector<at::Tensor> narrow = train_large(options(), at::kFloat, {0, 1, 2, 3, 4});
  const std::vector<at::Tensor> wide = train_large(options(), at::kDouble, {0, 1, 2, 3, 4});
  for (size_t p = 0; p < wide.size(); ++p) EXPECT_LT(difference(narrow[p], wide[p]), 1e-6) << p;
}

TEST_P(EachKind, GivesTheSameBitsOnAnyNumberOfThreads) {
  const std::vector<at::Tensor> one = train_large(options(), at::kFloat, {0, 1, 2, 3, 4});
  at::set_num_threads(3);
  const std::vector<at::Tensor> three = train_large(options(), at::kFloat, {0, 1, 2, 3, 4});
  at::set_num_threads(1);
  for (size_t p = 0; p < one.size(); ++p) EXPECT_TRUE(one[p].equal(three[p])) << p;
}

// Buckets that are built anew in the middle of a run change nothing.
TEST_P(EachKind, FollowsTheBuckets) {
  CommOptions small;
  small.bucket_mib = small.first_bucket_mib = 1e-4;  // about a parameter each
  Trained one(options());
  const std::vector<at::Tensor> parameters = start_parameters();
  SingleProcessCommunicator communicator;
  GradientReducer reducer(communicator, parameters, small);
  Optimizer optimizer(options(), parameters, kNames, reducer);
  for (int step = 0; step < 5; ++step) {
    one.step(step);
    reducer.begin();
    reducer.arm();
    for (const size_t p : {2, 0, 4, 1, 3}) {
      const at::Tensor g = at::zeros(kShapes[p], at::kDouble);
      fill(g, [&](size_t i) { return gradient(step, p, i); });
      parameters[p].mul(g).sum().backward();
    }
    reducer.wait();
    optimizer.set_lr(rate(step));
    at::Tensor skip = at::zeros({}, at::kFloat);
    optimizer.clip(skip);
    optimizer.step(skip);
    for (size_t p = 0; p < kNames.size(); ++p) {
      EXPECT_LT(parameters[p].detach().sub(one.parameters[p]).abs().max().item<double>(), 1e-14)
          << step;
    }
  }
  EXPECT_GT(reducer.buckets().size(), 2u);
  EXPECT_GT(reducer.generation(), 1);
}

INSTANTIATE_TEST_SUITE_P(UpdateRule, EachKind,
                         testing::Values(OptimizerKind::kSgd, OptimizerKind::kLars,
                                         OptimizerKind::kLamb, OptimizerKind::kAdamw),
                         [](const auto& kind) { return name_of(kind.param); });

// What was saved before there were kinds.
TEST(UpdateRule, SgdLoadsMomentumByParameterName) {
  Trained trained({});
  StateDict saved;
  for (size_t p = 0; p < kNames.size(); ++p) {
    saved.emplace_back(kNames[p], at::full(kShapes[p], 0.25, at::kDouble));
  }
  trained.optimizer.load(saved, "optimizer.pt");
  for (const auto& [name, momentum] : trained.optimizer.state_dict()) {
    EXPECT_EQ(momentum.min().item<double>(), 0.25);
  }
}

TEST(Clipping, TellsTheNormAndLeavesSmallGradientsAlone) {
  OptimizerOptions options;
  double square = 0;
  for (size_t p = 0; p < kNames.size(); ++p) {
    const int64_t count = at::zeros(kShapes[p]).numel();
    for (int64_t i = 0; i < count; ++i) square += std::pow(gradient(3, p, i), 2);
  }
  const double norm = std::sqrt(square);
  Trained off(options);
  off.step(3);
  EXPECT_EQ(off.norm, 0);
  for (const double limit : {0.5 * norm, 2 * norm}) {
    options.clip_norm = limit;
    Trained clipped(options);
    clipped.step(3);
    EXPECT_NEAR(clipped.norm, norm, 1e-14);
    const bool same = clipped.parameters[0].equal(off.parameters[0]);
    EXPECT_EQ(same, limit > norm);
  }
}

}  // namespace
}  // namespace resnext
