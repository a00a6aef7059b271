// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/step_reports.h"

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

namespace resnext {

struct StepReports::Pending {
  int64_t step;
  at::Tensor values;  // on the host; pinned where they come from a GPU
  std::optional<c10::Event> copied;

  Pending(int64_t s, const at::Tensor& from) : step(s) {
    const bool gpu = from.is_cuda();
    values = at::empty(from.sizes(), at::TensorOptions().dtype(at::kDouble).pinned_memory(gpu));
    values.copy_(from, /*non_blocking=*/true);
    if (!gpu) return;
    copied.emplace(at::kCUDA);
    copied->record(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(from.device()));
  }

  StepReport read() const {
    if (copied) copied->synchronize();
    const auto* value = values.const_data_ptr<double>();
    return {step, value[0], value[1] > 0, value[2] > 0, value[3], value[4]};
  }
};

StepReports::StepReports(int64_t steps_ahead) : steps_ahead_(steps_ahead) {}

StepReports::~StepReports() = default;

void StepReports::push(int64_t step, const at::Tensor& values) {
  pending_.push_back(std::make_unique<Pending>(step, values));
}

std::vector<StepReport> StepReports::take(bool all) {
  std::vector<StepReport> due;
  while (static_cast<int64_t>(pending_.size()) > (all ? 0 : steps_ahead_)) {
    due.push_back(pending_.front()->read());
    pending_.pop_front();
  }
  return due;
}

}  // namespace resnext
