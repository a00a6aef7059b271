// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/weights_fit.h"

#include <ATen/ops/isfinite.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "comm/common/error.h"
#include "model/weights/block_forms.h"
#include "model/weights/weights_names.h"

namespace resnext {
namespace {

constexpr std::string_view kBatchCounter = ".num_batches_tracked";

bool is_backbone(std::string_view name) {
  return name.starts_with("conv1.") || name.starts_with("bn1.") || name.starts_with("layer");
}

std::string shape_text(const at::Tensor& t) {
  return fmt::format("[{}]", fmt::join(t.sizes(), ", "));
}

// Why a network cannot compute with these values of a tensor; empty: it can.
std::string_view what_is_wrong(const std::string& name, const at::Tensor& target,
                               const at::Tensor& value) {
  if (!target.is_floating_point()) return "";
  if (!value.is_floating_point()) return "has whole numbers, as quantised weights are";
  if (!at::isfinite(value).all().item<bool>()) return "has values that are infinite or no numbers";
  const bool variance = name.ends_with(".running_var");
  return variance && value.lt(0).any().item<bool>() ? "has variances below 0" : "";
}

// Where a file and a model differ.
class Mismatches {
 public:
  void missing(const std::string& name) { add(missing_, name, name); }
  void unknown(const std::string& name) { add(unknown_, name, readable(name)); }
  void misshapen(const std::string& name, const at::Tensor& file, const at::Tensor& model) {
    add(misshapen_, name,
        fmt::format("{} has shape {}, the model's is {}", name, shape_text(file),
                    shape_text(model)));
  }

  void unusable(const std::string& name, std::string_view why) {
    unusable_.push_back(fmt::format("{} {}", name, why));
  }

  void refuse_if_any(const std::string& source, bool reset_classifier) const {
    if (missing_.empty() && misshapen_.empty() && unknown_.empty()) return;
    std::vector<std::string> parts;
    if (!missing_.empty()) parts.push_back("has no tensor " + listed_names(missing_));
    if (!misshapen_.empty()) parts.push_back(listed_names(misshapen_));
    if (!unknown_.empty()) {
      parts.push_back("has tensors that the model lacks: " + listed_names(unknown_));
    }
    throw CheckpointError(source, fmt::format("does not fit the model: {}", fmt::join(parts, "; ")),
                          remedy(reset_classifier));
  }
  void refuse_unusable(const std::string& source) const {
    if (unusable_.empty()) return;
    throw CheckpointError(source, "holds no usable weights: " + listed_names(unusable_),
                          "name floating-point weights of before their training diverged");
  }

 private:
  void add(std::vector<std::string>& list, const std::string& name, std::string text) {
    list.push_back(std::move(text));
    (is_backbone(name) ? in_backbone_ : in_classifier_) = true;
  }

  std::string remedy(bool reset_classifier) const {
    const bool resets = in_classifier_ && !reset_classifier;
    std::string text;
    if (in_backbone_ || !resets) {
      text = "check model.{family,depth,cardinality,base_width,block,shortcut,stem}";
    }
    if (!resets) return text;
    return text + (text.empty() ? "" : ", and ") +
           "set model.reset_classifier=true to start with a new classifier";
  }

  std::vector<std::string> missing_, misshapen_, unknown_, unusable_;
  bool in_backbone_ = false, in_classifier_ = false;
};

}  // namespace

void copy_weights(const StateDict& model, const StateDict& file, const std::string& source,
                  bool reset_classifier) {
  const StateDict fitting = in_form_of(model, file);
  std::map<std::string_view, at::Tensor> values(fitting.begin(), fitting.end());
  const auto left_out = [&](std::string_view name) {
    return reset_classifier && !is_backbone(name);
  };
  Mismatches mismatches;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, tensor] : model) {
    const auto found = values.extract(name);
    if (left_out(name)) continue;
    if (found.empty()) {
      if (!name.ends_with(kBatchCounter)) mismatches.missing(name);
    } else if (found.mapped().sizes() != tensor.sizes()) {
      mismatches.misshapen(name, found.mapped(), tensor);
    } else {
      const std::string_view wrong = what_is_wrong(name, tensor, found.mapped());
      if (!wrong.empty()) mismatches.unusable(name, wrong);
      copies.emplace_back(tensor, found.mapped());
    }
  }
  for (const auto& [name, tensor] : file) {  // in the file's order
    if (values.contains(name) && !left_out(name)) mismatches.unknown(name);
  }
  mismatches.refuse_if_any(source, reset_classifier);
  mismatches.refuse_unusable(source);
  for (auto& [target, value] : copies) target.detach().copy_(value);
}

}  // namespace resnext
