// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/batch_input.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>

namespace resnext {
namespace {

at::Tensor pixels_of(const Batch& batch) {
  return view_of_pixels(batch.pixels, batch.crops * batch.count, batch.size, batch.element);
}

// from_blob takes no const.
at::Tensor labels_of(const Batch& batch) {
  return at::from_blob(const_cast<int64_t*>(batch.labels), {batch.count}, at::kLong);
}

at::TensorOptions pinned(at::ScalarType type) {
  return at::TensorOptions().dtype(type).pinned_memory(true);
}

}  // namespace

HostAllocator host_allocator(at::Device device) {
  if (device.is_cpu()) return {};
  return [](size_t bytes) {
    const at::Tensor memory = at::empty({static_cast<int64_t>(bytes)}, pinned(at::kByte));
    auto* data = static_cast<std::byte*>(memory.mutable_data_ptr());
    return std::shared_ptr<std::byte>(data, [memory](std::byte*) {});
  };
}

// Two batches are on their way at most: one that is being read, one that is being copied.
struct BatchInput::Transfer {
  struct Slot {
    at::Tensor pixels, labels;  // on the device
    at::Tensor host_labels;     // pinned
    c10::Event copied{at::kCUDA};
    c10::Event read{at::kCUDA};
  };

  at::Device device;
  c10::impl::VirtualGuardImpl guard{at::kCUDA};
  c10::Stream copying{guard.getStreamFromGlobalPool(device)};
  Slot slots[2];
  int turn = 0;

  explicit Transfer(at::Device d) : device(d) {}

  // The loader's memory of the batch before is free to be used again.
  void finish() {
    if (slots[turn].copied.was_marked_for_recording()) slots[turn].copied.synchronize();
  }

  void make_room(Slot& slot, const Batch& batch) const {
    if (slot.pixels.defined() && slot.labels.size(0) == batch.count &&
        slot.pixels.size(1) == batch.size) {
      return;
    }
    const auto on_device = at::TensorOptions().device(device);
    const at::Tensor pixels = pixels_of(batch);
    slot.pixels = at::empty(pixels.sizes(), on_device.dtype(pixels.scalar_type()));
    slot.labels = at::empty({batch.count}, on_device.dtype(at::kLong));
    slot.host_labels = at::empty({batch.count}, pinned(at::kLong));
  }

  // Copies a batch on the copy stream; the current stream will see it.
  Slot& bring(const Batch& batch) {
    turn = 1 - turn;
    Slot& slot = slots[turn];
    const c10::Stream current = guard.getStream(device);
    if (slot.read.was_marked_for_recording()) slot.read.block(copying);
    {
      const c10::StreamGuard on(copying);
      make_room(slot, batch);
      std::memcpy(slot.host_labels.mutable_data_ptr(), batch.labels, batch.count * sizeof(int64_t));
      slot.pixels.copy_(pixels_of(batch), /*non_blocking=*/true);
      slot.labels.copy_(slot.host_labels, /*non_blocking=*/true);
      slot.copied.record(copying);
    }
    slot.copied.block(current);
    return slot;
  }
};

BatchInput::BatchInput(std::unique_ptr<DataLoader> loader, PixelNormaliser normalise,
                       at::Device device)
    : loader_(std::move(loader)), normalise_(std::move(normalise)) {
  if (!device.is_cpu()) transfer_ = std::make_unique<Transfer>(device);
}

BatchInput::~BatchInput() = default;

void BatchInput::start(Position position) {
  if (transfer_) transfer_->finish();
  loader_->start(position);
}

void BatchInput::make_room(const Batch& batch) {
  if (input_.images.defined() && input_.count == batch.count &&
      input_.images.size(2) == batch.size) {
    return;
  }
  input_.count = batch.count;
  input_.images = normalise_.make_images(batch.crops * batch.count, batch.size);
  input_.labels =
      at::empty({batch.count}, input_.images.options().dtype(at::kLong).memory_format({}));
}

Input BatchInput::next() {
  if (transfer_) transfer_->finish();
  const Batch batch = loader_->next();
  if (batch.count == 0) return {};
  make_room(batch);
  input_.tally = batch.tally;
  if (!transfer_) {
    normalise_(pixels_of(batch), input_.images);
    input_.labels.copy_(labels_of(batch));
    return input_;
  }
  Transfer::Slot& slot = transfer_->bring(batch);
  normalise_(slot.pixels, input_.images);
  input_.labels.copy_(slot.labels, /*non_blocking=*/true);
  slot.read.record(transfer_->guard.getStream(transfer_->device));
  return input_;
}

}  // namespace resnext
