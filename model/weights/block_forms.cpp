// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/block_forms.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace resnext {
namespace {

constexpr std::string_view kPaths = ".paths.";

// "layer1.0.paths.3.conv1.weight": path 3 of "layer1.0.conv1.weight".
struct PathName {
  std::string joined;
  size_t path = 0;
};

std::optional<PathName> path_name(std::string_view name) {
  const size_t at = name.find(kPaths);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = name.substr(at + kPaths.size());
  PathName result;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), result.path);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') return std::nullopt;
  result.joined = std::string(name.substr(0, at)) +
                  std::string(rest.substr(static_cast<size_t>(end - rest.data())));
  return result;
}

bool has_paths(const StateDict& state) {
  return std::ranges::any_of(state, [](const auto& e) { return path_name(e.first).has_value(); });
}

at::Tensor joined(const std::vector<at::Tensor>& parts) {
  return parts.front().dim() == 0 ? parts.front() : at::cat(parts, 0);
}

// Form C -> B, for as many paths as `model` has.
StateDict in_form_b(const StateDict& model, const StateDict& state) {
  std::map<std::string, std::vector<std::string>> paths;  // joined name -> each path's name
  for (const auto& [name, tensor] : model) {
    if (const auto path = path_name(name)) paths[path->joined].push_back(name);
  }
  StateDict result;
  for (const auto& [name, tensor] : state) {
    const auto found = paths.find(name);
    const auto count = found == paths.end() ? 0 : static_cast<int64_t>(found->second.size());
    if (count == 0 || (tensor.dim() > 0 && tensor.size(0) % count != 0)) {
      result.emplace_back(name, tensor);
      continue;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t part = tensor.dim() == 0 ? 0 : tensor.size(0) / count;
      result.emplace_back(found->second[static_cast<size_t>(i)],
                          tensor.dim() == 0 ? tensor : tensor.narrow(0, i * part, part));
    }
  }
  return result;
}

}  // namespace

StateDict in_form_c(const StateDict& state) {
  std::map<std::string, std::vector<at::Tensor>> parts;
  for (const auto& [name, tensor] : state) {
    if (const auto path = path_name(name)) parts[path->joined].push_back(tensor);
  }
  StateDict result;
  for (const auto& [name, tensor] : state) {
    const auto path = path_name(name);
    if (!path) {
      result.emplace_back(name, tensor);
    } else if (path->path == 0) {
      result.emplace_back(path->joined, joined(parts[path->joined]));
    }
  }
  return result;
}

StateDict in_form_of(const StateDict& model, const StateDict& state) {
  if (has_paths(model) == has_paths(state)) return state;
  return has_paths(model) ? in_form_b(model, state) : in_form_c(state);
}

}  // namespace resnext
