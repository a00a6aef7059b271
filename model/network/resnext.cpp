// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/resnext.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "model/network/recompute.h"
#include "model/weights/weights_fit.h"

namespace resnext {
namespace {

constexpr std::string_view kBatchCounter = ".num_batches_tracked";

// Layers of the stem and the first `stages` stages; -1: none.
size_t layers_until(const NetworkPlan& plan, int64_t stages) {
  if (stages < 0) return 0;
  return stages == 0 ? plan.stages.front().begin : plan.stages[stages - 1].end;
}

std::set<std::string> names_of(const NetworkPlan& plan, size_t layers) {
  std::set<std::string> names;
  for (size_t i = 0; i < layers; ++i) {
    for (const PlannedTensor& tensor : plan.layers[i].tensors()) names.insert(tensor.name);
  }
  return names;
}

}  // namespace

ResNeXt::ResNeXt(const ModelOptions& options, uint64_t seed)
    : ResNeXt(plan_network(options), options, at::detail::createCPUGenerator(seed)) {}

ResNeXt::ResNeXt(NetworkPlan plan, const ModelOptions& options, const at::Generator& generator)
    : fused_convolutions_(options.fused_convolutions),
      layers_(plan.layers.size()),
      frozen_(layers_until(plan, options.freeze)),
      frozen_names_(names_of(plan, frozen_)),
      recomputed_(plan.stages.begin(), plan.stages.begin() + options.recompute_stages),
      depth_(plan, at::kCPU),
      graph_(std::move(plan.layers), options.fused, generator) {
  for (at::Tensor& p : trained_parameters()) p.set_requires_grad(true);
}

at::Tensor ResNeXt::forward(const at::Tensor& images, Mode mode) const {
  return run(images, mode, layers_);
}

at::Tensor ResNeXt::features(const at::Tensor& images, Mode mode) const {
  return run(images, mode, layers_ - 1).flatten(1);  // the last one is the classifier
}

at::Tensor ResNeXt::run(const at::Tensor& images, Mode mode, size_t end) const {
  at::Tensor x = images, scales;
  size_t done = 0;
  if (mode == Mode::kTrain && frozen_ > 0) {
    const at::NoGradGuard no_grad;
    done = std::min(frozen_, end);
    x = graph_.run({0, done}, x, Mode::kEvaluate);
  }
  if (mode == Mode::kTrain) {
    if (depth_.enabled()) scales = depth_.scales(images.size(0));
    for (const LayerRange stage : recomputed_) {
      if (stage.begin < done) continue;
      x = graph_.run({done, stage.begin}, x, mode, scales);
      const auto again = [this, stage, scales](const at::Tensor& y, Mode m) {
        return graph_.run(stage, y, m, scales);
      };
      x = recompute(again, x);
      done = stage.end;
    }
  }
  return graph_.run({done, end}, x, mode, scales);
}

void ResNeXt::count_batches(int64_t batches) {
  visit_trained([&](const std::string& name, at::Tensor& tensor, bool) {
    if (name.ends_with(kBatchCounter)) tensor.add_(batches);
  });
}

void ResNeXt::to(at::Device device, at::ScalarType dtype, bool channels_last) {
  depth_.to(device);
  if (fused_convolutions_ && device.is_cuda()) take_sums_with(device_convolution_kernels());
  graph_.visit([&](const std::string& name, at::Tensor& tensor, bool is_parameter) {
    if (!tensor.is_floating_point()) return;
    at::Tensor moved = tensor.detach().to(device, dtype);
    if (tensor.dim() == 4) {
      moved = moved.contiguous(channels_last ? at::MemoryFormat::ChannelsLast
                                             : at::MemoryFormat::Contiguous);
    }
    tensor = moved.set_requires_grad(is_parameter && !frozen_names_.contains(name));
  });
}

std::vector<at::Tensor> ResNeXt::parameters() {
  std::vector<at::Tensor> all;
  graph_.visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (is_parameter) all.push_back(tensor);
  });
  return all;
}

std::vector<std::string> ResNeXt::parameter_names() {
  std::vector<std::string> all;
  graph_.visit([&](const std::string& name, at::Tensor&, bool is_parameter) {
    if (is_parameter) all.push_back(name);
  });
  return all;
}

void ResNeXt::visit_trained(const TensorVisitor& visitor) {
  graph_.visit([&](const std::string& name, at::Tensor& tensor, bool is_parameter) {
    if (!frozen_names_.contains(name)) visitor(name, tensor, is_parameter);
  });
}

std::vector<at::Tensor> ResNeXt::trained_parameters() {
  std::vector<at::Tensor> all;
  visit_trained([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (is_parameter) all.push_back(tensor);
  });
  return all;
}

std::vector<std::string> ResNeXt::trained_names() {
  std::vector<std::string> all;
  visit_trained([&](const std::string& name, at::Tensor&, bool is_parameter) {
    if (is_parameter) all.push_back(name);
  });
  return all;
}

std::vector<at::Tensor> ResNeXt::trained_statistics() {
  std::vector<at::Tensor> all;
  visit_trained([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (!is_parameter && tensor.is_floating_point()) all.push_back(tensor);
  });
  return all;
}

std::vector<at::Tensor> ResNeXt::statistics() {
  std::vector<at::Tensor> all;
  graph_.visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
    if (!is_parameter && tensor.is_floating_point()) all.push_back(tensor);
  });
  return all;
}

StateDict ResNeXt::state_dict() {
  StateDict state;
  graph_.visit([&](const std::string& name, at::Tensor& tensor, bool) {
    state.emplace_back(name, tensor.detach());
  });
  return state;
}

void ResNeXt::load(const StateDict& state, const std::string& source, bool skip_classifier) {
  copy_weights(state_dict(), state, source, skip_classifier);
}

}  // namespace resnext
