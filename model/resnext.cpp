// SPDX-License-Identifier: BSD-3-Clause
#include "model/resnext.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/max_pool2d.h>
#include <spdlog/fmt/fmt.h>

#include <string_view>

#include "comm/common/error.h"
#include "model/model_defaults.h"
#include "model/recompute.h"
#include "model/weights/weights_fit.h"

namespace resnext {
namespace {

constexpr std::string_view kBatchCounter = ".num_batches_tracked";

ModelOptions checked(const ModelOptions& options) {
  if (options.classes < 1) {
    throw ConfigError("model.classes", "the number of classes is not known",
                      "set it, or name a data set that says it");
  }
  check_recompute_stages(options);
  return resolve_defaults(options);
}

std::vector<std::vector<Bottleneck>> make_stages(const ModelOptions& options,
                                                 const at::Generator& generator) {
  std::vector<std::vector<Bottleneck>> stages;
  BottleneckShape shape{options.stem.width, options.stem.width, 1};
  for (int64_t blocks : stage_blocks(options)) {
    stages.emplace_back();
    for (int64_t i = 0; i < blocks; ++i) {
      stages.back().emplace_back(options, shape, generator);
      shape = {shape.out(), shape.planes, 1};
    }
    shape = {shape.in, 2 * shape.planes, 2};
  }
  return stages;
}

int64_t features(const ModelOptions& options) {
  return kExpansion * stage_planes(options, static_cast<int64_t>(stage_blocks(options).size()) - 1);
}

}  // namespace

// Tensors draw from one generator in the order in which they are constructed.
ResNeXt::ResNeXt(const ModelOptions& options, uint64_t seed)
    : ResNeXt(checked(options), at::detail::createCPUGenerator(seed)) {}

ResNeXt::ResNeXt(const ModelOptions& options, const at::Generator& generator)
    : options_(options),
      conv1_(3, options.stem.width, options.stem.kernel, options.stem.stride, 1, generator),
      bn1_(options.stem.width, options.fused),
      stages_(make_stages(options, generator)),
      fc_(features(options), options.classes, generator) {
  for (at::Tensor& p : parameters()) p.set_requires_grad(true);
}

at::Tensor ResNeXt::forward(const at::Tensor& images, Mode mode) const {
  at::Tensor x = bn1_.relu(conv1_(images), mode);
  if (options_.stem.pool == StemPool::kOn) x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
  for (size_t stage = 0; stage < stages_.size(); ++stage) x = run_stage(stage, x, mode);
  return fc_(x.mean({2, 3}));
}

at::Tensor ResNeXt::run_stage(size_t stage, const at::Tensor& x, Mode mode) const {
  const auto run = [&blocks = stages_[stage]](at::Tensor y, Mode run_mode) {
    for (const Bottleneck& block : blocks) y = block(y, run_mode);
    return y;
  };
  const bool again =
      mode == Mode::kTrain && static_cast<int64_t>(stage) < options_.recompute_stages;
  return again ? recompute(run, x) : run(x, mode);
}

void ResNeXt::count_batches(int64_t batches) {
  visit([&](const std::string& name, at::Tensor& tensor, bool) {
    if (name.ends_with(kBatchCounter)) tensor.add_(batches);
  });
}

void ResNeXt::to(at::Device device, at::ScalarType dtype, bool channels_last) {
  visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (!tensor.is_floating_point()) return;
    at::Tensor moved = tensor.detach().to(device, dtype);
    if (tensor.dim() == 4) {
      moved = moved.contiguous(channels_last ? at::MemoryFormat::ChannelsLast
                                             : at::MemoryFormat::Contiguous);
    }
    tensor = moved.set_requires_grad(is_parameter);
  });
}

std::vector<at::Tensor> ResNeXt::parameters() {
  std::vector<at::Tensor> all;
  visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (is_parameter) all.push_back(tensor);
  });
  return all;
}

std::vector<std::string> ResNeXt::parameter_names() {
  std::vector<std::string> all;
  visit([&](const std::string& name, at::Tensor&, bool is_parameter) {
    if (is_parameter) all.push_back(name);
  });
  return all;
}

std::vector<at::Tensor> ResNeXt::statistics() {
  std::vector<at::Tensor> all;
  visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (!is_parameter && tensor.is_floating_point()) all.push_back(tensor);
  });
  return all;
}

StateDict ResNeXt::state_dict() {
  StateDict state;
  visit([&](const std::string& name, at::Tensor& tensor, bool) {
    state.emplace_back(name, tensor.detach());
  });
  return state;
}

void ResNeXt::load(const StateDict& state, const std::string& source, bool skip_classifier) {
  copy_weights(state_dict(), state, source, skip_classifier);
}

void ResNeXt::visit(const TensorVisitor& visitor) {
  conv1_.visit("conv1", visitor);
  bn1_.visit("bn1", visitor);
  for (size_t s = 0; s < stages_.size(); ++s) {
    for (size_t i = 0; i < stages_[s].size(); ++i) {
      stages_[s][i].visit(fmt::format("layer{}.{}", s + 1, i), visitor);
    }
  }
  fc_.visit("fc", visitor);
}

}  // namespace resnext
