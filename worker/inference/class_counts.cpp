// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/class_counts.h"

#include <ATen/ops/eq.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>

#include "comm/tensor_collectives.h"

namespace resnext {
namespace {

at::Tensor counters(int64_t count, at::Device device) {
  return at::zeros({count}, at::TensorOptions().dtype(at::kLong).device(device));
}

// RFC 4180: a field in quotation marks may hold anything, its own marks doubled.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string class_name(const std::vector<std::string>& names, int64_t index) {
  const auto i = static_cast<size_t>(index);
  return i < names.size() ? names[i] : std::to_string(index);
}

ClassCounts::ClassCounts(int64_t classes, at::Device device)
    : classes_(classes),
      confusion_(counters(classes * classes, device)),
      top5_(counters(classes, device)) {}

void ClassCounts::add(const at::Tensor& labels, const at::Tensor& best) {
  const at::Tensor cells = labels.mul(classes_).add(best.select(1, 0));
  confusion_.scatter_add_(0, cells, at::ones_like(cells));
  const at::Tensor hits = at::eq(best, labels.unsqueeze(1)).sum(1).to(at::kLong);
  top5_.scatter_add_(0, labels, hits);
}

void ClassCounts::sum(Communicator& communicator) {
  for (at::Tensor* counts : {&confusion_, &top5_}) {
    *counts = counts->cpu();
    communicator.all_reduce(as_buffer(*counts), ReduceOp::kSum);
  }
}

std::string ClassCounts::per_class(const std::vector<std::string>& names) const {
  std::string text = "class,name,images,top1,top5\n";
  const auto* table = confusion_.const_data_ptr<int64_t>();
  const auto* top5 = top5_.const_data_ptr<int64_t>();
  for (int64_t c = 0; c < classes_; ++c) {
    int64_t images = 0;
    for (int64_t p = 0; p < classes_; ++p) images += table[c * classes_ + p];
    const auto percent = [&](int64_t hits) {
      return images == 0 ? std::string()
                         : fmt::format("{:.3f}", 100.0 * static_cast<double>(hits) /
                                                     static_cast<double>(images));
    };
    text += fmt::format("{},{},{},{},{}\n", c, quoted(class_name(names, c)), images,
                        percent(table[c * classes_ + c]), percent(top5[c]));
  }
  return text;
}

std::string ClassCounts::confusion(const std::vector<std::string>& names) const {
  std::string text = "true,predicted,true_name,predicted_name,images\n";
  const auto* table = confusion_.const_data_ptr<int64_t>();
  for (int64_t cell = 0; cell < classes_ * classes_; ++cell) {
    if (table[cell] == 0) continue;
    const int64_t c = cell / classes_, p = cell % classes_;
    text += fmt::format("{},{},{},{},{}\n", c, p, quoted(class_name(names, c)),
                        quoted(class_name(names, p)), table[cell]);
  }
  return text;
}

}  // namespace resnext
