// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/weights_names.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr std::string_view kAverageCounter = "n_averaged";
constexpr std::array<std::string_view, 3> kInnerWrappers = {"_orig_mod.", "_fsdp_wrapped_module.",
                                                            "_checkpoint_wrapped_module."};

constexpr std::array<std::string_view, 5> kWrappers = {"module", "model", "net", "network",
                                                       "backbone"};

// How another program names the parts of a name. `mark` begins a name in each of its files.
struct Renaming {
  std::string_view part, ours;  // "": the part goes
};
struct Scheme {
  std::string_view mark;
  std::array<Renaming, 12> parts;
};
constexpr Scheme kSchemes[] = {
    {"stage_1.stage_1_bottleneck_0.",
     {{{"conv_1_3x3", "conv1"},
       {"bn_1", "bn1"},
       {"conv_reduce", "conv1"},
       {"bn_reduce", "bn1"},
       {"conv_conv", "conv2"},
       {"bn", "bn2"},
       {"conv_expand", "conv3"},
       {"bn_expand", "bn3"},
       {"shortcut", ""},
       {"shortcut_conv", "downsample.0"},
       {"shortcut_bn", "downsample.1"},
       {"classifier", "fc"}}}},
    {"layer0.conv1.", {{{"layer0", ""}, {"last_linear", "fc"}, {"se_module", "se"}}}},
};

std::string_view first_part(std::string_view name) {
  return name.substr(0, name.find('.'));
}

void drop_wrappers(std::string& name) {
  for (const std::string_view wrapper : kInnerWrappers) {
    for (size_t at = name.find(wrapper); at != std::string::npos; at = name.find(wrapper, at)) {
      if (at > 0 && name[at - 1] != '.') {
        at += wrapper.size();
      } else {
        name.erase(at, wrapper.size());
      }
    }
  }
}

// Do all names have `part` at `at`, and enough behind it? Of a name that is not known to be a
// wrapper's at least a layer and its tensor must be left, and others beside it.
bool all_have(const StateDict& state, size_t at, std::string_view part) {
  const bool known = std::ranges::find(kWrappers, part) != kWrappers.end();
  if (!known && state.size() == 1) return false;
  return std::ranges::all_of(state, [&](const auto& entry) {
    const std::string_view rest = std::string_view(entry.first).substr(at);
    return rest.size() > part.size() + 1 && rest.starts_with(part) && rest[part.size()] == '.' &&
           (known || rest.find('.', part.size() + 1) != std::string_view::npos);
  });
}

// Length of what all names begin with, whole parts only.
size_t common_prefix(const StateDict& state) {
  size_t length = 0;
  for (;;) {
    const std::string_view part = first_part(std::string_view(state.front().first).substr(length));
    if (!all_have(state, length, part)) return length;
    length += part.size() + 1;
  }
}

// "stage_2" -> "layer2", "stage_2_bottleneck_7" -> "7"; empty for other parts.
std::string stage_part(std::string_view part) {
  constexpr std::string_view kStage = "stage_", kBlock = "_bottleneck_";
  if (!part.starts_with(kStage)) return {};
  const size_t block = part.find(kBlock);
  if (block != std::string_view::npos) return std::string(part.substr(block + kBlock.size()));
  return "layer" + std::string(part.substr(kStage.size()));
}

std::string our_part(std::string_view part, const Scheme& scheme) {
  const auto found = std::ranges::find(scheme.parts, part, &Renaming::part);
  if (found != scheme.parts.end()) return std::string(found->ours);
  const std::string stage = stage_part(part);
  return stage.empty() ? std::string(part) : stage;
}

std::string our_name(std::string_view name, const Scheme& scheme) {
  std::string ours;
  while (!name.empty()) {
    const std::string_view part = first_part(name);
    const std::string renamed = our_part(part, scheme);
    if (!ours.empty() && !renamed.empty()) ours += '.';
    ours += renamed;
    name.remove_prefix(std::min(name.size(), part.size() + 1));
  }
  return ours;
}

void rename(StateDict& state) {
  for (const Scheme& scheme : kSchemes) {
    const bool used = std::ranges::any_of(
        state, [&](const auto& entry) { return entry.first.starts_with(scheme.mark); });
    if (!used) continue;
    for (auto& [name, tensor] : state) name = our_name(name, scheme);
  }
}

void check_unique(const StateDict& state, const std::string& source) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, tensor] : state) {
    if (names.insert(name).second) continue;
    throw CheckpointError(source, "has two tensors '" + readable(name) + "'",
                          "write the file again");
  }
}

}  // namespace

StateDict with_our_names(StateDict state, const std::string& source) {
  std::erase_if(state, [](const auto& entry) { return entry.first == kAverageCounter; });
  for (auto& [name, tensor] : state) drop_wrappers(name);
  if (!state.empty()) {
    const size_t prefix = common_prefix(state);
    for (auto& [name, tensor] : state) name.erase(0, prefix);
  }
  rename(state);
  check_unique(state, source);
  return state;
}

std::string readable(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string shown(text.substr(0, kLongest));
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < ' ' || c >= 0x7f; }, '?');
  return text.size() > kLongest ? shown + "..." : shown;
}

std::string listed_names(const std::vector<std::string>& names) {
  constexpr size_t kMost = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kMost ? text + " and " + std::to_string(names.size() - kMost) + " more"
                              : text;
}

}  // namespace resnext
