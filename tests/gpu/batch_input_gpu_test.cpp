// Batches on their way to a GPU arrive whole and in order, however far the host runs ahead.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/cuda/Sleep.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "data/container/container.h"
#include "tests/gpu/gpu_test.h"
#include "tests/support/tiny_data.h"
#include "worker/device/gpu.h"
#include "worker/input/batch_input.h"
#include "worker/input/data_sets.h"

namespace resnext {
namespace {

constexpr int64_t kCycles = 3'000'000;  // one to two milliseconds

// A container of 90 images and its way to a device, in batches of 16.
class BatchInputGpu : public test::GpuTest {
 protected:
  BatchInputGpu()
      : path_(testing::TempDir() + "resnext_gpu_" + std::to_string(::getpid()) + ".h5") {
    test::TinyData data;
    data.images = 90;
    data.side = 24;
    test::write_tiny_container(path_, data);
    container_.emplace(path_);
    config_.data.size = 20;
    config_.data.resize = 20;
    config_.data.threads = 3;
    config_.data.prefetch = 2;
    config_.batch.per_rank = 16;
  }
  ~BatchInputGpu() override { std::filesystem::remove(path_); }

  BatchInput input(at::Device device, bool training, at::ScalarType type = at::kFloat) {
    return BatchInput(
        make_loader(*container_, config_, config_.batch, 0, 1, training, host_allocator(device)),
        PixelNormaliser(container_->mean(), container_->std(), device, type, true), device);
  }

  std::string path_;
  std::optional<Container> container_;
  RunConfig config_;
};

struct Copy {
  at::Tensor images, labels;
};

// What the next batches are, copied as work of the current stream; up to the end of the split. On a
// GPU the device stays behind the host.
std::vector<Copy> take(BatchInput& input, int count, bool keep_behind) {
  std::vector<Copy> copies;
  for (int i = 0; i < count; ++i) {
    if (keep_behind) at::cuda::sleep(kCycles);
    const Input batch = input.next();
    if (batch.count == 0) break;
    copies.push_back({batch.images.clone(), batch.labels.clone()});
  }
  return copies;
}

void expect_equal(const std::vector<Copy>& ours, const std::vector<Copy>& theirs) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(ours[i].images.cpu().equal(theirs[i].images)) << "images of batch " << i;
    EXPECT_TRUE(ours[i].labels.cpu().equal(theirs[i].labels)) << "labels of batch " << i;
  }
}

TEST_F(BatchInputGpu, TheLoadersMemoryIsPinned) {
  const auto memory = host_allocator(gpu())(1000);
  EXPECT_TRUE(at::from_blob(memory.get(), {1000}, at::kByte).is_pinned());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.get()) % 64, 0u);
}

// 60 batches are 12 epochs; the ring of the loader is passed twenty times.
TEST_F(BatchInputGpu, ManyBatchesAreThoseOfTheCpu) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const bool behind : {false, true}) {
      BatchInput ours = input(gpu(), true, type), theirs = input(at::kCPU, true, type);
      ours.start({});
      theirs.start({});
      expect_equal(take(ours, 60, behind), take(theirs, 60, false));
    }
  }
}

TEST_F(BatchInputGpu, GoesOnFromAPosition) {
  BatchInput ours = input(gpu(), true), theirs = input(at::kCPU, true);
  for (const Position position : {Position{0, 0}, Position{2, 3}, Position{0, 1}}) {
    ours.start(position);
    theirs.start(position);
    expect_equal(take(ours, 7, true), take(theirs, 7, false));
  }
}

// 90 images: five batches of 16 and one of 10, twice.
TEST_F(BatchInputGpu, ASplitEndsWithItsLastImages) {
  BatchInput ours = input(gpu(), false), theirs = input(at::kCPU, false);
  for (int i = 0; i < 2; ++i) {
    ours.start({});
    theirs.start({});
    const std::vector<Copy> batches = take(ours, 100, true);
    ASSERT_EQ(batches.size(), 6u);
    EXPECT_EQ(batches.back().labels.size(0), 10);
    expect_equal(batches, take(theirs, 100, false));
  }
}

// As a captured graph needs it; and nothing of LibTorch waits for the device.
TEST_F(BatchInputGpu, AlwaysLieInTheSameMemory) {
  BatchInput ours = input(gpu(), true);
  ours.start({});
  const Input first = ours.next();
  const ForbidSynchronisation forbid;
  for (int i = 0; i < 10; ++i) {
    const Input batch = ours.next();
    EXPECT_EQ(batch.images.const_data_ptr(), first.images.const_data_ptr());
    EXPECT_EQ(batch.labels.const_data_ptr(), first.labels.const_data_ptr());
  }
}

}  // namespace
}  // namespace resnext
