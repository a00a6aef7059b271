// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/resnext.h"

#include <ATen/CPUGeneratorImpl.h>
#include <spdlog/fmt/fmt.h>

#include <map>
#include <string_view>
#include <utility>

#include "comm/common/error.h"
#include "model/network/recompute.h"

namespace resnext {
namespace {

constexpr std::string_view kBatchCounter = ".num_batches_tracked";

std::string shape_text(const at::Tensor& t) {
  std::string text;
  for (int64_t size : t.sizes()) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

}  // namespace

ResNeXt::ResNeXt(const ModelOptions& options, uint64_t seed)
    : ResNeXt(plan_network(options), options, at::detail::createCPUGenerator(seed)) {}

ResNeXt::ResNeXt(NetworkPlan plan, const ModelOptions& options, const at::Generator& generator)
    : layers_(plan.layers.size()),
      recomputed_(plan.stages.begin(), plan.stages.begin() + options.recompute_stages),
      graph_(std::move(plan.layers), options.fused, generator) {
  for (at::Tensor& p : parameters()) p.set_requires_grad(true);
}

at::Tensor ResNeXt::forward(const at::Tensor& images, Mode mode) const {
  return run(images, mode, layers_);
}

at::Tensor ResNeXt::features(const at::Tensor& images, Mode mode) const {
  return run(images, mode, layers_ - 1).flatten(1);  // the last one is the classifier
}

at::Tensor ResNeXt::run(const at::Tensor& images, Mode mode, size_t end) const {
  at::Tensor x = images;
  size_t done = 0;
  if (mode == Mode::kTrain) {
    for (const LayerRange stage : recomputed_) {
      x = graph_.run({done, stage.begin}, x, mode);
      x = recompute([this, stage](const at::Tensor& y, Mode m) { return graph_.run(stage, y, m); },
                    x);
      done = stage.end;
    }
  }
  return graph_.run({done, end}, x, mode);
}

void ResNeXt::count_batches(int64_t batches) {
  graph_.visit([&](const std::string& name, at::Tensor& tensor, bool) {
    if (name.ends_with(kBatchCounter)) tensor.add_(batches);
  });
}

void ResNeXt::to(at::Device device, at::ScalarType dtype, bool channels_last) {
  graph_.visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
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
  std::map<std::string, at::Tensor> values(state.begin(), state.end());
  const auto refuse = [&](const std::string& what) {
    throw CheckpointError(
        source, what,
        "check model.{family,depth,cardinality,base_width,block,shortcut,stem,se_reduction}, or "
        "set model.reset_classifier for another number of classes");
  };
  graph_.visit([&](const std::string& name, at::Tensor& tensor, bool) {
    const auto found = values.extract(name);
    if (skip_classifier && name.starts_with("fc.")) return;
    if (found.empty()) {
      if (name.ends_with(kBatchCounter)) return;  // files older than PyTorch 0.4.1
      return refuse("has no tensor " + name);
    }
    const at::Tensor& value = found.mapped();
    if (value.sizes() != tensor.sizes()) {
      refuse(fmt::format("{} has shape {}, the model's is {}", name, shape_text(value),
                         shape_text(tensor)));
    }
    tensor.detach().copy_(value);
  });
  if (!values.empty()) refuse("has a tensor that the model lacks: " + values.begin()->first);
}

}  // namespace resnext
