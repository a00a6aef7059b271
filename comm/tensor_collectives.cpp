// SPDX-License-Identifier: BSD-3-Clause
#include "comm/tensor_collectives.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

DataType data_type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kByte:
      return DataType::kUint8;
    case at::kLong:
      return DataType::kInt64;
    case at::kBFloat16:
      return DataType::kBfloat16;
    case at::kFloat:
      return DataType::kFloat32;
    case at::kDouble:
      return DataType::kFloat64;
    default:
      throw Error(
          ExitCode::kInternal, "collective on a tensor",
          std::string("dtype ") + c10::toString(tensor.scalar_type()) + " is not communicated",
          "convert it to float32 before");
  }
}

}  // namespace

Buffer as_buffer(const at::Tensor& tensor) {
  return {tensor.data_ptr(), static_cast<size_t>(tensor.numel()), data_type_of(tensor),
          tensor.is_cuda()};
}

void broadcast_tensors(Communicator& communicator, const std::vector<at::Tensor>& tensors) {
  for (const at::Tensor& tensor : tensors) communicator.broadcast(as_buffer(tensor), 0);
}

TensorAverager::TensorAverager(Communicator& communicator, std::vector<at::Tensor> tensors)
    : communicator_(communicator) {
  int64_t elements = 0;
  for (const at::Tensor& tensor : tensors) elements += tensor.numel();
  flat_ = at::empty({elements}, tensors.front().options().requires_grad(false));
  int64_t offset = 0;
  for (at::Tensor& tensor : tensors) {
    at::Tensor view = flat_.as_strided(tensor.sizes(), tensor.strides(), offset);
    view.copy_(tensor);
    tensor.set_data(view);
    offset += tensor.numel();
  }
  remembered_ = flat_.clone();
}

TensorAverager::~TensorAverager() {
  // A collective with a lost peer may still write into the tensor: it is left to it.
  if (in_flight_) new at::Tensor(flat_);
}

void TensorAverager::start() {
  in_flight_ = true;
  ticket_ = communicator_.start_all_reduce(as_buffer(flat_), ReduceOp::kMean);
}

void TensorAverager::wait() {
  communicator_.wait(ticket_);
  in_flight_ = false;
}

void TensorAverager::remember() {
  remembered_.copy_(flat_);
}

void TensorAverager::restore_where(const at::Tensor& condition) {
  flat_.copy_(at::where(condition.ne(0), remembered_, flat_));
}

}  // namespace resnext
