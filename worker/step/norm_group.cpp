// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/norm_group.h"

#include <ATen/ops/empty.h>
#include <spdlog/fmt/fmt.h>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"

namespace resnext {
namespace {

// A collective with a lost peer may still write into the tensor: it is left to it.
template <typename Collective>
void run(const Collective& collective, const at::Tensor& tensor) {
  try {
    collective(as_buffer(tensor));
  } catch (...) {
    new at::Tensor(tensor);
    throw;
  }
}

}  // namespace

at::Tensor NormGroup::gather(const at::Tensor& mine) {
  std::vector<int64_t> sizes = {size()};
  sizes.insert(sizes.end(), mine.sizes().begin(), mine.sizes().end());
  at::Tensor all = at::empty(sizes, mine.options());
  run([&](Buffer buffer) { communicator_->all_gather(as_buffer(mine), buffer); }, all);
  return all;
}

void NormGroup::sum(const at::Tensor& mine) {
  run([&](Buffer buffer) { communicator_->all_reduce(buffer, ReduceOp::kSum); }, mine);
}

int norm_ranks(const ModelOptions& options, int world_size) {
  if (options.norm == Norm::kLocal) return 1;
  if (options.norm == Norm::kSync) return world_size;
  const int64_t ranks = options.norm_group;
  if (ranks <= world_size && world_size % ranks == 0) return static_cast<int>(ranks);
  throw ConfigError("model.norm_group",
                    fmt::format("{} ranks are not groups of {}", world_size, ranks),
                    "give a divisor of the number of ranks, or set model.norm to sync or local");
}

std::unique_ptr<NormGroup> make_norm_group(const ModelOptions& options,
                                           Communicator& communicator) {
  const int ranks = norm_ranks(options, communicator.size());
  return ranks > 1 ? std::make_unique<NormGroup>(communicator.split(ranks)) : nullptr;
}

}  // namespace resnext
