// What the tests of the NCCL backend over the fake share.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <mpi.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "comm/cuda_check.h"
#include "comm/nccl_communicator.h"
#include "tests/support/fake_nccl/fake_nccl.h"

namespace resnext::test {

// No faults before and after; no rank is ahead of another.
class OverFakeNccl : public testing::Test {
 protected:
  void SetUp() override {
    fake_reset();
    MPI_Barrier(MPI_COMM_WORLD);
  }
  void TearDown() override {
    fake_reset();
    MPI_Barrier(MPI_COMM_WORLD);
  }

  // The training thread works on current_.
  NcclOptions options(double timeout_s = 60) {
    NcclOptions o;
    o.timeout_s = timeout_s;
    o.abort_s = 30;
    o.current_stream = [this] { return current_.get(); };
    return o;
  }
  void synchronize() { check_cuda(cudaStreamSynchronize(current_.get()), "cudaStreamSynchronize"); }

  CudaStream current_;
};

// Holds a stream up until it is opened or goes out of scope.
class Gate {
 public:
  explicit Gate(cudaStream_t stream) {
    cudaLaunchHostFunc(
        stream,
        [](void* opened) {
          const auto* waiting = static_cast<std::shared_future<void>*>(opened);
          waiting->wait();
          delete waiting;
        },
        new std::shared_future<void>(opened_.get_future()));
  }
  ~Gate() { open(); }
  void open() {
    if (!open_) opened_.set_value();
    open_ = true;
  }

 private:
  std::promise<void> opened_;
  bool open_ = false;
};

inline Buffer on_device(double& value) {
  return {&value, 1, DataType::kFloat64, /*device=*/true};
}

// Asks until `condition` holds, a minute at most.
template <class F>
bool eventually(F condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// What `f` throws, as "EXIT_CODE TEXT"; empty when it throws nothing.
template <class F>
std::string error_of(F f) {
  try {
    f();
    return "";
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.exit_code())) + " " + error.what();
  }
}

// What `f` logs.
template <class F>
std::string logged(F f) {
  std::ostringstream text;
  const std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  f();
  spdlog::set_default_logger(before);
  return text.str();
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace resnext::test
