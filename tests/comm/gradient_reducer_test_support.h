// What the tests of the gradient reducer share.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "comm/gradient_reducer.h"

namespace resnext::test {

constexpr double kMiB = 1024 * 1024;

inline CommOptions buckets_of(double first_bytes, double bytes) {
  CommOptions options;
  options.first_bucket_mib = first_bytes / kMiB;
  options.bucket_mib = bytes / kMiB;
  return options;
}

// Parameters of 1..count elements.
inline std::vector<at::Tensor> make_parameters(int64_t count) {
  std::vector<at::Tensor> parameters;
  for (int64_t i = 0; i < count; ++i) {
    parameters.push_back(at::ones({i + 1}, at::kDouble).set_requires_grad(true));
  }
  return parameters;
}

inline CommOptions compressed(CommOptions options) {
  options.compress = Compression::kBf16;
  return options;
}

inline std::vector<int64_t> sizes_in_bytes(const GradientReducer& reducer) {
  std::vector<int64_t> bytes;
  for (const GradientBucket& bucket : reducer.buckets()) {
    bytes.push_back(static_cast<int64_t>(bucket.flat.nbytes()));
  }
  return bytes;
}

// Gives parameter i the gradient `value`.
inline void backward_one(const at::Tensor& parameter, double value) {
  parameter.mul(value).sum().backward();
}

// A communicator of two ranks that remembers what was asked of it, and does nothing.
class RecordingCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  std::string_view name() const override { return "recording"; }
  Ticket start_all_reduce(Buffer buffer, ReduceOp) override {
    reduced.push_back(buffer);
    return ++started;
  }
  void wait(Ticket ticket) override { waited.push_back(ticket); }
  void broadcast(Buffer, int) override {}
  void all_gather(Buffer, Buffer) override {}
  std::unique_ptr<Communicator> split(int) override { return nullptr; }

  std::shared_ptr<void> register_buffer(Buffer buffer) override {
    EXPECT_TRUE(registered.insert(buffer.data).second);
    return {buffer.data, [this](void* data) { registered.erase(data); }};
  }

  Ticket started = 0;
  std::vector<Buffer> reduced;
  std::vector<Ticket> waited;
  std::set<void*> registered;
};

inline void one_step(GradientReducer& reducer, const std::vector<at::Tensor>& parameters,
                     double value) {
  reducer.begin();
  reducer.arm();
  for (const at::Tensor& p : parameters) backward_one(p, value);
  reducer.wait();
}

}  // namespace resnext::test
