// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/weights_choice.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <unordered_set>

#include "comm/common/error.h"
#include "model/weights/weights_names.h"

namespace resnext {
namespace {

constexpr size_t kMaxDepth = 4;           // {"checkpoint": {"model": {"state_dict": ...}}} is 3
constexpr size_t kMaxContainers = 10000;  // nearest to the outside first
constexpr const char* kSaveRemedy =
    "save the state_dict, not the model: torch.save(model.state_dict(), ...)";

// A container of the file and how it is reached.
struct Place {
  const PickleValue* value;
  size_t parent, depth;
  std::string name;  // key or index in its parent
};

struct Candidate {
  std::string path;  // empty: the file's outermost dict
  const PickleDict* dict;
  size_t tensors;
};

// Scalars are counters and records.
size_t count_tensors(const PickleDict& dict) {
  return static_cast<size_t>(std::ranges::count_if(dict.items, [](const auto& item) {
    const auto* tensor = item.second->template get_if<const SavedTensor*>();
    return item.first->template get_if<std::string_view>() != nullptr && tensor != nullptr &&
           !(*tensor)->sizes.empty();
  }));
}

class Search {
 public:
  explicit Search(const PickleValue& root) { visit(root, 0, 0, ""); }

  std::vector<Candidate> run() {
    std::vector<Candidate> found;
    for (size_t i = 0; i < places_.size(); ++i) {
      const auto* dict = places_[i].value->get_if<PickleDict>();
      const size_t tensors = dict != nullptr ? count_tensors(*dict) : 0;
      if (tensors > 0) found.push_back({path(i), dict, tensors});
      if (places_[i].depth < kMaxDepth) descend(i);
    }
    return found;
  }

 private:
  void descend(size_t from) {
    const PickleValue& value = *places_[from].value;
    if (const auto* dict = value.get_if<PickleDict>()) {
      for (const auto& [key, item] : dict->items) {
        const auto* text = key->get_if<std::string_view>();
        if (text != nullptr) visit(*item, from, places_[from].depth + 1, *text);
      }
    } else if (const auto* list = value.get_if<PickleList>()) {
      descend(list->items, from);
    } else if (const auto* tuple = value.get_if<PickleTuple>()) {
      descend(tuple->items, from);
    }
  }

  void descend(const PickleItems& items, size_t from) {
    for (size_t i = 0; i < items.size(); ++i) {
      visit(*items[i], from, places_[from].depth + 1, std::to_string(i));
    }
  }

  void visit(const PickleValue& value, size_t parent, size_t depth, std::string_view name) {
    const bool container = value.get_if<PickleDict>() != nullptr ||
                           value.get_if<PickleList>() != nullptr ||
                           value.get_if<PickleTuple>() != nullptr;
    if (!container || places_.size() == kMaxContainers || !seen_.insert(&value).second) return;
    places_.push_back({&value, parent, depth, readable(name)});
  }

  std::string path(size_t place) const {
    std::string text;
    for (; places_[place].depth > 0; place = places_[place].parent) {
      text = places_[place].name + (text.empty() ? "" : ".") + text;
    }
    return text;
  }

  std::vector<Place> places_;
  std::unordered_set<const PickleValue*> seen_;
};

// Without those that have less than half as many tensors as the largest.
void keep_large(std::vector<Candidate>& candidates) {
  const size_t most = std::ranges::max(candidates, {}, &Candidate::tensors).tensors;
  std::erase_if(candidates, [&](const Candidate& c) { return 2 * c.tensors < most; });
}

std::string listed(const std::vector<Candidate>& candidates) {
  std::vector<std::string> texts;
  for (const Candidate& c : candidates) {
    const std::string name = c.path.empty() ? "the file itself" : "'" + c.path + "'";
    texts.push_back(fmt::format("{} ({} tensors)", name, c.tensors));
  }
  return listed_names(texts);
}

[[noreturn]] void refuse_empty(const PickleValue& root, const std::string& path) {
  const auto* object = root.get_if<PickleOpaque>();
  std::string what = "holds no dict of tensors";
  if (object != nullptr && object->kind != nullptr) {
    what += fmt::format(", but an object made by '{}.{}', which is not run",
                        readable(object->kind->module), readable(object->kind->name));
  }
  throw CheckpointError(path, what, kSaveRemedy);
}

}  // namespace

const PickleDict& choose_weights(const PickleValue& root, const std::string& key,
                                 const std::string& path) {
  std::vector<Candidate> candidates = Search(root).run();
  if (candidates.empty()) refuse_empty(root, path);
  if (!key.empty()) {
    const std::string all = listed(candidates);
    std::erase_if(candidates, [&](const Candidate& c) {
      return c.path != key && !c.path.starts_with(key + ".");
    });
    if (candidates.empty()) {
      throw CheckpointError(path, "has no dict of tensors '" + readable(key) + "', but " + all,
                            "set model.pretrained_key to one of these");
    }
  }
  keep_large(candidates);
  if (candidates.size() > 1) {
    throw CheckpointError(path, "holds several sets of weights: " + listed(candidates),
                          "choose one with model.pretrained_key=NAME");
  }
  return *candidates.front().dict;
}

}  // namespace resnext
