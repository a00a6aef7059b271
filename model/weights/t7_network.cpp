// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/t7_network.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "comm/common/error.h"
#include "model/weights/t7_reader.h"

namespace resnext {
namespace {

constexpr int kMaxWrappers = 8;         // DataParallelTables and tables around the network
constexpr size_t kMaxVisits = 100'000;  // modules; ResNet-152 has some 1,000

constexpr size_t kMaxFields = 1000;  // of a module, which has some 30

const T7Value* field(const T7Value& module, std::string_view name) {
  const T7Value* content = &module;
  if (const auto* object = module.get_if<T7Object>()) content = object->content;
  const auto* table = content == nullptr ? nullptr : content->get_if<T7Table>();
  if (table == nullptr || table->items.size() > kMaxFields) return nullptr;
  for (const auto& [key, value] : table->items) {
    const auto* text = key->get_if<std::string>();
    if (text != nullptr && *text == name) return value;
  }
  return nullptr;
}

// A module's class without its package: "SpatialConvolution" of nn, cudnn and cunn alike.
std::string_view kind(const T7Value& module) {
  const auto* object = module.get_if<T7Object>();
  if (object == nullptr) return {};
  return std::string_view(object->type).substr(object->type.rfind('.') + 1);
}

// The children of a container, in the order of their indices 1, 2, ...
std::vector<const T7Value*> children(const T7Value& module) {
  const T7Value* modules = field(module, "modules");
  const auto* table = modules == nullptr ? nullptr : modules->get_if<T7Table>();
  std::vector<std::pair<double, const T7Value*>> numbered;
  if (table != nullptr) {
    for (const auto& [key, value] : table->items) {
      const auto* index = key->get_if<double>();
      if (index != nullptr && !std::isnan(*index)) numbered.emplace_back(*index, value);
    }
  }
  std::ranges::sort(numbered, {}, &std::pair<double, const T7Value*>::first);
  std::vector<const T7Value*> ordered;
  for (const auto& [index, value] : numbered) ordered.push_back(value);
  return ordered;
}

class NetworkReader {
 public:
  NetworkReader(const WeightsInput& input, const T7Reader& file)
      : input_(input), loader_(file, input.path()) {}

  StateDict read(const T7Value& root) {
    const T7Value& network = unwrapped(root);
    size_t stage = 0;
    for (const T7Value* module : visited(network)) {
      if (kind(*module) == "Sequential") {
        read_stage(*module, fmt::format("layer{}", ++stage));
      } else if (kind(*module) == "Linear") {
        add(*module, "fc", {"weight", "bias"});
      } else {
        read_layer(*module, "conv1", "bn1");
      }
    }
    if (state_.empty()) input_.fail("holds no ResNeXt of the seed: no stages and no classifier");
    return std::move(state_);
  }

 private:
  // The network inside of DataParallelTables, of tables like {model = ...}, and of containers of
  // one.
  const T7Value& unwrapped(const T7Value& root) {
    const T7Value* value = &root;
    for (int depth = 0; depth < kMaxWrappers; ++depth) {
      const std::vector<const T7Value*> parts =
          kind(*value).empty() ? modules_of_table(*value) : children(*value);
      const bool parallel = kind(*value) == "DataParallelTable" && !parts.empty();
      if (!parallel && parts.size() != 1) break;
      value = parts.front();
    }
    if (kind(*value) == "Sequential") return *value;
    throw CheckpointError(input_.path(), "holds no nn.Sequential",
                          "name the file of the network itself: model_N.t7, not latest.t7 or "
                          "optimState_N.t7");
  }

  static std::vector<const T7Value*> modules_of_table(const T7Value& value) {
    std::vector<const T7Value*> modules;
    const auto* table = value.get_if<T7Table>();
    if (table == nullptr) return modules;
    for (const auto& [key, item] : table->items) {
      if (kind(*item) == "Sequential" || kind(*item) == "DataParallelTable")
        modules.push_back(item);
    }
    return modules;
  }

  void read_stage(const T7Value& module, const std::string& name) {
    size_t index = 0;
    for (const T7Value* block : visited(module)) {
      if (kind(*block) == "Sequential") read_block(*block, fmt::format("{}.{}", name, index++));
    }
  }

  void read_block(const T7Value& block, const std::string& name) {
    for (const T7Value* module : visited(block)) {
      if (kind(*module) != "ConcatTable") continue;
      const std::vector<const T7Value*> branches = visited(*module);
      if (branches.size() != 2) input_.fail("has a block '" + name + "' without two branches");
      read_transformation(*branches[0], name);
      read_shortcut(*branches[1], name);
    }
  }

  // Form B begins with the paths; one 1x1 convolution and its normalisation follow.
  void read_transformation(const T7Value& module, const std::string& name) {
    size_t layer = 1;
    for (const T7Value* part : visited(module)) {
      if (kind(*part) == "ConcatTable") {
        read_paths(*part, name);
        layer = 3;
      } else {
        layer = read_numbered(*part, name, layer);
      }
    }
  }

  void read_paths(const T7Value& module, const std::string& name) {
    size_t index = 0;
    for (const T7Value* path : visited(module)) {
      size_t layer = 1;
      const std::string path_name = fmt::format("{}.paths.{}", name, index++);
      for (const T7Value* part : visited(*path)) layer = read_numbered(*part, path_name, layer);
    }
  }

  // The next number: a normalisation ends its convolution's.
  size_t read_numbered(const T7Value& module, const std::string& name, size_t layer) {
    const std::string number = std::to_string(layer);
    return layer + (read_layer(module, name + ".conv" + number, name + ".bn" + number) ? 1 : 0);
  }

  // An nn.Identity, or a projection.
  void read_shortcut(const T7Value& module, const std::string& name) {
    for (const T7Value* part : visited(module)) {
      read_layer(*part, name + ".downsample.0", name + ".downsample.1");
    }
  }

  // Whether it was a normalisation.
  bool read_layer(const T7Value& module, const std::string& convolution, const std::string& norm) {
    const std::string_view type = kind(module);
    if (type.starts_with("SpatialConvolution")) {
      add(module, convolution, {"weight", "bias"});
    }
    const bool is_norm = type == "SpatialBatchNormalization";
    if (is_norm) add(module, norm, {"weight", "bias", "running_mean", "running_var"});
    return is_norm;
  }

  at::Tensor four_dimensional(const T7Value& module, const at::Tensor& weight,
                              const std::string& name) const {
    if (weight.dim() == 4) return weight;
    const int64_t out = number(module, "nOutputPlane"), in = number(module, "nInputPlane");
    const int64_t groups = std::max<int64_t>(number(module, "groups"), 1);
    const int64_t height = number(module, "kH"), width = number(module, "kW");
    const int64_t sizes[] = {out, in / groups, height, width};
    int64_t numel = 1;
    for (const int64_t size : sizes) {
      if (size < 1 || __builtin_mul_overflow(numel, size, &numel)) numel = -1;
    }
    if (numel != weight.numel()) input_.fail("has a convolution '" + name + "' of unclear shape");
    return weight.reshape(sizes);
  }

  static int64_t number(const T7Value& module, std::string_view name) {
    const T7Value* value = field(module, name);
    const auto* found = value == nullptr ? nullptr : value->get_if<double>();
    return found != nullptr && *found >= 1 && *found <= 1e6 ? static_cast<int64_t>(*found) : 0;
  }

  // The module's tensors of these names; a convolution of the seed has no bias.
  void add(const T7Value& module, const std::string& name,
           std::initializer_list<const char*> fields) {
    const size_t before = state_.size();
    for (const char* part : fields) {
      const T7Value* value = field(module, part);
      const auto* tensor = value == nullptr ? nullptr : value->get_if<const SavedTensor*>();
      if (tensor == nullptr || (*tensor)->sizes.empty()) continue;
      const std::string full = name + "." + part;
      at::Tensor values = loader_.load(full, **tensor);
      if (kind(module).starts_with("SpatialConvolution") && values.dim() > 1) {
        values = four_dimensional(module, values, name);
      }
      state_.emplace_back(full, values);
    }
    if (state_.size() == before) input_.fail("has a module '" + name + "' without weights");
  }

  std::vector<const T7Value*> visited(const T7Value& module) {
    std::vector<const T7Value*> list = children(module);
    visits_ += list.size() + 1;
    if (visits_ > kMaxVisits) input_.fail("has more modules than a network");
    return list;
  }

  const WeightsInput& input_;
  TensorLoader loader_;
  StateDict state_;
  size_t visits_ = 0;
};

}  // namespace

bool is_t7(const WeightsInput& input) {
  return T7Reader::recognises(input);
}

StateDict read_t7(const WeightsInput& input) {
  const T7Reader file(input);
  return NetworkReader(input, file).read(file.root());
}

}  // namespace resnext
