// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/host_copy.h"

#include <ATen/ops/empty_strided.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>

#include <bit>
#include <cstring>
#include <span>

#include "data/checksum.h"

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

bool finite(const at::Tensor& tensor) {
  if (!tensor.is_floating_point()) return true;
  if (tensor.is_cpu() && tensor.is_non_overlapping_and_dense()) {
    if (tensor.scalar_type() == at::kFloat) return finite(tensor, uint32_t{0x7f800000});
    if (tensor.scalar_type() == at::kDouble) return finite(tensor, uint64_t{0x7ff0000000000000});
  }
  return at::isfinite(tensor).all().item<bool>();
}

// On a GPU the sum of the words, which every single flipped bit changes, needs no copy to the host.
uint64_t checksum(const at::Tensor& tensor) {
  if (tensor.is_cpu()) {
    const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
    return crc32c({bytes, tensor.nbytes()});
  }
  const at::Tensor words = tensor.view(tensor.element_size() == 8 ? at::kLong : at::kInt);
  return static_cast<uint64_t>(at::sum(words, at::kLong).item<int64_t>());
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

const StateDict& HostCopy::take(const StateDict& state) {
  make_room(state);
  for (size_t i = 0; i < state.size(); ++i) copy_[i].second.copy_(state[i].second.detach());
  return copy_;
}

bool all_finite(const StateDict& state) {
  for (const auto& [name, tensor] : state) {
    if (!finite(tensor)) return false;
  }
  return true;
}

uint64_t checksum_of(const std::vector<at::Tensor>& tensors) {
  uint64_t sum = 0;
  for (const at::Tensor& tensor : tensors) sum = std::rotl(sum, 7) ^ checksum(tensor);
  return sum;
}

}  // namespace resnext
