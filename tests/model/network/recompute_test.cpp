// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/recompute.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "comm/common/error.h"
#include "model/network/cost.h"
#include "model/network/resnext.h"

namespace resnext {
namespace {

// Others on the machine slow several threads down by far.
class OneThread : public testing::Environment {
  void SetUp() override { at::set_num_threads(1); }
};
const auto* const one_thread = testing::AddGlobalTestEnvironment(new OneThread);

// ---- one part ----------------------------------------------------------------------------------

at::Tensor leaf(double value) {
  return at::arange(1, 4, at::TensorOptions().dtype(at::kDouble))
      .mul(value)
      .set_requires_grad(true);
}

// y = w x^2
TEST(Recompute, RunsTwiceAndGivesTheGradients) {
  const at::Tensor w = leaf(2), x = leaf(3);
  std::vector<Mode> modes;
  std::vector<bool> graphs;
  const at::Tensor y = recompute(
      [&](const at::Tensor& input, Mode mode) {
        modes.push_back(mode);
        graphs.push_back(at::GradMode::is_enabled());
        return w.mul(input).mul(input);
      },
      x);
  EXPECT_EQ(modes, (std::vector{Mode::kTrain}));
  EXPECT_TRUE(y.equal(w.mul(x).mul(x)));
  y.mul(5).sum().backward();
  EXPECT_EQ(modes, (std::vector{Mode::kTrain, Mode::kRecompute}));
  EXPECT_EQ(graphs, (std::vector{false, true}));
  EXPECT_TRUE(at::allclose(w.grad(), x.detach().square().mul(5), 1e-14, 0));
  EXPECT_TRUE(at::allclose(x.grad(), w.detach().mul(x.detach()).mul(10), 1e-14, 0));
}

TEST(Recompute, AddsToTheGradientsThatAreThere) {
  const at::Tensor w = leaf(2), x = leaf(3);
  for (int i = 0; i < 2; ++i) {
    recompute([&](const at::Tensor& input, Mode) { return w.mul(input); }, x).sum().backward();
  }
  EXPECT_TRUE(w.grad().equal(x.detach().mul(2)));
  EXPECT_TRUE(x.grad().equal(w.detach().mul(2)));
}

TEST(Recompute, RunsOnceWithoutGradients) {
  const at::Tensor w = leaf(2), x = leaf(3);
  int runs = 0;
  const Stage stage = [&](const at::Tensor& input, Mode) {
    ++runs;
    return w.mul(input);
  };
  {
    const at::NoGradGuard guard;
    EXPECT_FALSE(recompute(stage, x).requires_grad());
  }
  recompute(stage, x.detach()).sum().backward();  // an input that needs none, parameters that do
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(w.grad().equal(x.detach()));
}

struct Autocast {
  explicit Autocast(at::ScalarType type) {
    at::autocast::set_autocast_dtype(at::kCPU, type);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~Autocast() {
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::clear_cache();
  }
};

// Forward under autocast to a type that is not the default, backward outside or under another; the
// gradient of a weight that autocast converts must arrive.
TEST(Recompute, RunsAgainInTheStateOfAutocastThatForwardHad) {
  const at::Tensor w = at::randn({4, 4}).set_requires_grad(true);
  const at::Tensor x = at::randn({4, 4}).set_requires_grad(true);
  std::vector<at::ScalarType> types;
  const Stage stage = [&](const at::Tensor& input, Mode) {
    types.push_back(at::mm(input, w).scalar_type());
    return at::mm(input, w);
  };
  for (const bool inside : {false, true}) {
    w.mutable_grad() = at::Tensor();
    at::Tensor loss;
    {
      const Autocast half(at::kHalf);
      loss = recompute(stage, x).sum();
    }
    if (inside) {
      const Autocast other(at::kBFloat16);
      loss.backward();
      EXPECT_EQ(at::autocast::get_autocast_dtype(at::kCPU), at::kBFloat16);
      EXPECT_TRUE(at::autocast::is_autocast_enabled(at::kCPU));
    } else {
      loss.backward();
      EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    }
    EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
    ASSERT_TRUE(w.grad().defined());
    EXPECT_GT(w.grad().abs().max().item<float>(), 0);
  }
  EXPECT_EQ(types, std::vector<at::ScalarType>(4, at::kHalf));
}

// Forward and backward in one scope, where autocast would have kept what forward converted.
TEST(Recompute, AutocastsCacheDoesNotCutTheWeightsOff) {
  const at::Tensor w = at::randn({4, 4}).set_requires_grad(true);
  const at::Tensor x = at::randn({4, 4}).set_requires_grad(true);
  const Autocast scope(at::kBFloat16);
  recompute([&](const at::Tensor& input, Mode) { return at::mm(input, w); }, x).sum().backward();
  EXPECT_TRUE(w.grad().defined());
}

TEST(Recompute, AnErrorOfTheSecondRunComesOutOfBackward) {
  const at::Tensor x = leaf(3);
  const at::Tensor y = recompute(
      [](const at::Tensor& input, Mode mode) {
        if (mode == Mode::kRecompute) throw std::domain_error("second run");
        return input.mul(2);
      },
      x);
  EXPECT_THROW(y.sum().backward(), std::domain_error);
}

TEST(Recompute, RefusesASecondDerivativeAndASecondBackward) {
  const at::Tensor x = leaf(3);
  const Stage stage = [](const at::Tensor& input, Mode) { return input.square(); };
  const at::Tensor y = recompute(stage, x).sum();
  EXPECT_THROW(torch::autograd::grad({y}, {x}, {}, true, /*create_graph=*/true), Error);
  y.backward();
  EXPECT_ANY_THROW(y.backward());
}

// ---- the network -------------------------------------------------------------------------------

// Four stages, narrow, for images of 32 pixels.
ModelOptions narrow(int64_t recompute_stages) {
  ModelOptions options;
  options.cardinality = 4;
  options.base_width = 16;
  options.stem.width = 8;
  options.classes = 7;
  options.recompute_stages = recompute_stages;
  return options;
}

constexpr int64_t kImages = 6, kSide = 32;

struct Number {
  at::ScalarType type = at::kFloat;
  bool autocast = false;
  at::MemoryFormat format = at::MemoryFormat::ChannelsLast;
};

at::Tensor loss_of(const ResNeXt& model, const Number& number) {
  const auto generator = at::detail::createCPUGenerator(5);
  const at::Tensor images =
      at::randn({kImages, 3, kSide, kSide}, generator).to(number.type).contiguous(number.format);
  std::unique_ptr<Autocast> scope;
  if (number.autocast) scope = std::make_unique<Autocast>(at::kBFloat16);
  return at::cross_entropy_loss(model.forward(images, Mode::kTrain), at::arange(kImages));
}

ResNeXt make(const ModelOptions& options, const Number& number) {
  ResNeXt model(options, 11);
  model.to(at::kCPU, number.type, number.format == at::MemoryFormat::ChannelsLast);
  return model;
}

// Loss, gradients and running statistics after two micro-batches whose gradients add up.
std::vector<at::Tensor> results(const ModelOptions& options, const Number& number) {
  ResNeXt model = make(options, number);
  std::vector<at::Tensor> all;
  for (int i = 0; i < 2; ++i) {
    const at::Tensor loss = loss_of(model, number);
    loss.backward();
    all.push_back(loss.detach());
  }
  for (const at::Tensor& parameter : model.parameters()) all.push_back(parameter.grad());
  for (const at::Tensor& statistic : model.statistics()) all.push_back(statistic);
  return all;
}

// Bit for bit: the same operations on the same numbers.
void expect_same(const std::vector<at::Tensor>& ours, const std::vector<at::Tensor>& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(ours[i].equal(theirs[i])) << i;
}

class RecomputedStages : public testing::TestWithParam<int64_t> {};

TEST_P(RecomputedStages, GiveTheSameInFloat64) {
  const Number number{at::kDouble};
  expect_same(results(narrow(GetParam()), number), results(narrow(0), number));
}

TEST_P(RecomputedStages, GiveTheSameInFloat32InEitherLayout) {
  for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
    const Number number{at::kFloat, false, format};
    expect_same(results(narrow(GetParam()), number), results(narrow(0), number));
  }
}

TEST_P(RecomputedStages, GiveTheSameUnderAutocast) {
  const Number number{at::kFloat, true};
  expect_same(results(narrow(GetParam()), number), results(narrow(0), number));
}

TEST_P(RecomputedStages, GiveTheSameInFormBWithShortcutAAndSeparateLayers) {
  ModelOptions options = narrow(0);
  options.block = Block::kB;
  options.shortcut = Shortcut::kA;
  options.fused = false;
  const auto without = results(options, {});
  options.recompute_stages = GetParam();
  expect_same(results(options, {}), without);
}

class CountingHook : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit CountingHook(int& count) : count_(count) {}
  void operator()(const at::Tensor& parameter) override {
    EXPECT_TRUE(parameter.grad().defined());
    ++count_;
  }

 private:
  int& count_;
};

TEST_P(RecomputedStages, FireEachParametersHookOnce) {
  ResNeXt model = make(narrow(GetParam()), {});
  const std::vector<at::Tensor> parameters = model.parameters();
  std::vector<int> counts(parameters.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameters[i],
                                                   std::make_unique<CountingHook>(counts[i]));
  }
  loss_of(model, {}).backward();
  EXPECT_EQ(counts, std::vector<int>(counts.size(), 1));
}

// While backward runs them again, the running statistics may be under way to other ranks.
TEST_P(RecomputedStages, LeaveTheStatisticsAloneInBackward) {
  ResNeXt model = make(narrow(GetParam()), {});
  const at::Tensor loss = loss_of(model, {});
  std::vector<at::Tensor> before;
  for (const at::Tensor& statistic : model.statistics()) before.push_back(statistic.clone());
  loss.backward();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(model.statistics()[i].equal(before[i]));
}

TEST_P(RecomputedStages, EvaluateAsWithout) {
  const at::Tensor images = at::randn({2, 3, kSide, kSide});
  const at::Tensor ours = make(narrow(GetParam()), {}).forward(images, Mode::kEvaluate);
  EXPECT_TRUE(ours.equal(make(narrow(0), {}).forward(images, Mode::kEvaluate)));
}

INSTANTIATE_TEST_SUITE_P(OneToFour, RecomputedStages, testing::Values(1, 2, 3, 4));

// ---- memory ------------------------------------------------------------------------------------

// Bytes of the CPU's tensors: now, and the most since it was last set.
struct Usage {
  std::atomic<int64_t> now = 0, most = 0;
  void add(int64_t bytes) { most = std::max<int64_t>(most, now += bytes); }
} usage;

// In front of each allocation stands its size.
constexpr size_t kHeader = 64;

void release(void* data) {
  if (data == nullptr) return;
  void* start = static_cast<char*>(data) - kHeader;
  usage.add(-*static_cast<int64_t*>(start));
  std::free(start);
}

class CountingAllocator : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, at::kCPU};
    void* start = std::aligned_alloc(kHeader, kHeader + (bytes + kHeader - 1) / kHeader * kHeader);
    *static_cast<int64_t*>(start) = static_cast<int64_t>(bytes);
    usage.add(static_cast<int64_t>(bytes));
    void* data = static_cast<char*>(start) + kHeader;
    return {data, data, &release, at::kCPU};
  }
  at::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

class RecomputeMemory : public testing::Test {
 protected:
  RecomputeMemory() { c10::SetCPUAllocator(&allocator_, kPriority); }
  ~RecomputeMemory() override { c10::SetCPUAllocator(before_, kPriority); }

 private:
  static constexpr uint8_t kPriority = 255;
  at::Allocator* before_ = c10::GetCPUAllocator();
  CountingAllocator allocator_;
};

struct StepMemory {
  int64_t kept;  // by the forward pass
  int64_t peak;  // during backward, besides the parameters' gradients
};

StepMemory memory_of_step(int64_t recompute_stages) {
  ResNeXt model = make(narrow(recompute_stages), {});
  for (at::Tensor& p : model.parameters()) p.mutable_grad() = at::zeros_like(p);
  const int64_t before = usage.now;
  const at::Tensor loss = loss_of(model, {});
  const int64_t kept = usage.now - before;
  usage.most = usage.now.load();
  loss.backward();
  return {kept, usage.most - before};
}

// Of the outputs of convolutions and BN (a projection's BN goes into a sum, which keeps nothing),
// all but the stages' own.
int64_t spared_bytes(int64_t recompute_stages) {
  int64_t elements = 0;
  const auto layers = layer_shapes(narrow(recompute_stages), kSide);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].stage == 0 || layers[i].stage > recompute_stages) continue;
    if (!layers[i].name.ends_with("downsample.1")) elements += layers[i].output_elements();
    if (layers[i + 1].stage != layers[i].stage) elements -= layers[i].output_elements();
  }
  return elements * static_cast<int64_t>(sizeof(float)) * kImages;
}

// Besides activations the layers keep statistics, and copies of what they subsample.
TEST_F(RecomputeMemory, ForwardKeepsOnlyTheInputsOfRecomputedStages) {
  const StepMemory without = memory_of_step(0);
  for (int64_t stages = 1; stages <= 4; ++stages) {
    const auto spared = static_cast<double>(without.kept - memory_of_step(stages).kept);
    const auto expected = static_cast<double>(spared_bytes(stages));
    EXPECT_GE(spared, expected) << stages;
    EXPECT_LE(spared, 1.1 * expected) << stages;
  }
}

// The estimate leaves out what backward needs for gradients of activations.
TEST_F(RecomputeMemory, ThePeakFallsAsTheEstimateSays) {
  const auto estimate = [](int64_t stages) {
    return static_cast<double>(model_cost(narrow(stages), kSide).activation_bytes);
  };
  const auto without = static_cast<double>(memory_of_step(0).peak);
  for (int64_t stages = 1; stages <= 4; ++stages) {
    const auto with = static_cast<double>(memory_of_step(stages).peak);
    EXPECT_NEAR(with / without, estimate(stages) / estimate(0), 0.1) << stages;
  }
}

}  // namespace
}  // namespace resnext
