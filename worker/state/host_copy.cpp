// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/host_copy.h"

#include <ATen/ops/empty_strided.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <unordered_set>

#include "data/container/checksum.h"

namespace resnext {
namespace {

// Dense: the same elements in the same places.
at::Tensor host_twin(const at::Tensor& tensor) {
  return at::empty_strided(
      tensor.sizes(), tensor.strides(),
      at::TensorOptions().dtype(tensor.dtype()).pinned_memory(tensor.is_cuda()));
}

bool fits(const at::Tensor& copy, const at::Tensor& tensor) {
  return copy.sizes() == tensor.sizes() && copy.strides() == tensor.strides() &&
         copy.scalar_type() == tensor.scalar_type();
}

// All exponent bits set: infinite or not a number (IEEE 754). One pass without branches.
template <class Bits>
bool finite(const at::Tensor& tensor, Bits exponent) {
  const auto* values = static_cast<const Bits*>(tensor.const_data_ptr());
  Bits bad = 0;
  for (int64_t i = 0; i < tensor.numel(); ++i) bad |= (values[i] & exponent) == exponent ? 1 : 0;
  return bad == 0;
}

// Nothing where that takes Torch.
std::optional<bool> finite_on_host(const at::Tensor& tensor) {
  if (!tensor.is_cpu() || !tensor.is_non_overlapping_and_dense()) return std::nullopt;
  if (tensor.scalar_type() == at::kFloat) return finite(tensor, uint32_t{0x7f800000});
  if (tensor.scalar_type() == at::kDouble) return finite(tensor, uint64_t{0x7ff0000000000000});
  return std::nullopt;
}

uint64_t on_host(const at::Tensor& tensor) {
  const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
  return crc32c({bytes, tensor.nbytes()});
}

// The sum of the words, which every single flipped bit changes; int64 [] on the GPU.
at::Tensor on_gpu(const at::Tensor& tensor) {
  return at::sum(tensor.view(tensor.element_size() == 8 ? at::kLong : at::kInt), at::kLong);
}

}  // namespace

void HostCopy::make_room(const StateDict& state) {
  copy_.resize(state.size());
  for (size_t i = 0; i < state.size(); ++i) {
    auto& [name, copy] = copy_[i];
    const at::Tensor& tensor = state[i].second;
    name = state[i].first;
    if (!copy.defined() || !fits(copy, tensor)) copy = host_twin(tensor);
  }
}

void HostCopy::touch() {
  for (auto& [name, copy] : copy_) std::memset(copy.mutable_data_ptr(), 0, copy.nbytes());
}

// The host waits for a GPU once, and not for each tensor.
const StateDict& HostCopy::take(const StateDict& state) {
  make_room(state);
  at::Device device = at::kCPU;
  for (size_t i = 0; i < state.size(); ++i) {
    const at::Tensor& tensor = state[i].second;
    copy_[i].second.copy_(tensor.detach(), /*non_blocking=*/true);
    if (!tensor.is_cpu()) device = tensor.device();
  }
  if (!device.is_cpu()) {
    c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  }
  return copy_;
}

// The host reads one value for all tensors that it does not look at itself.
bool all_finite(const StateDict& state) {
  std::vector<at::Tensor> others;
  for (const auto& [name, tensor] : state) {
    if (!tensor.is_floating_point()) continue;
    if (const auto known = finite_on_host(tensor)) {
      if (!*known) return false;
    } else {
      others.push_back(at::isfinite(tensor).all());
    }
  }
  return others.empty() || at::stack(others).all().item<bool>();
}

std::vector<at::Tensor> whole_storages(const std::vector<at::Tensor>& views) {
  std::vector<at::Tensor> whole;
  std::unordered_set<const void*> seen;
  for (const at::Tensor& view : views) {
    if (!seen.insert(view.storage().data()).second) continue;
    const auto elements = static_cast<int64_t>(view.storage().nbytes() / view.element_size());
    whole.push_back(view.detach().as_strided({elements}, {1}, 0));
  }
  return whole;
}

// The host waits for a GPU once.
uint64_t checksum_of(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> sums;
  uint64_t total = 0;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.is_cpu()) {
      total = std::rotl(total, 7) ^ on_host(tensor);
    } else {
      sums.push_back(on_gpu(tensor));
    }
  }
  if (sums.empty()) return total;
  const at::Tensor all = at::stack(sums).cpu();
  for (int64_t i = 0; i < all.numel(); ++i) {
    total = std::rotl(total, 7) ^ static_cast<uint64_t>(all.const_data_ptr<int64_t>()[i]);
  }
  return total;
}

}  // namespace resnext
