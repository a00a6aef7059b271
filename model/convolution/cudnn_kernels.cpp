// For builds with CUDA: cuDNN's engines, each shape's chosen by trying them.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cudnn/Handle.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAStream.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "model/convolution/convolution_kernels.h"
#include "model/convolution/cudnn_graph.h"
#include "model/norm/fused_device.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;
using Work = std::function<void()>;

constexpr size_t kMostPlans = 2;     // compiled for a shape
constexpr double kMostSeconds = 90;  // spent on choices by one network; the rest does without
constexpr int kRuns = 3;
// Largest difference from separate operations, relative to the largest value: sums of many rounded
// values, and single values in bfloat16.
constexpr double kTolerance = 0.03;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Milliseconds of one run, of a few behind each other. Waits for the device.
double time_of(const Work& work) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
  cudaEvent_t begin = nullptr, end = nullptr;
  C10_CUDA_CHECK(cudaEventCreate(&begin));
  C10_CUDA_CHECK(cudaEventCreate(&end));
  work();
  C10_CUDA_CHECK(cudaEventRecord(begin, stream));
  for (int i = 0; i < kRuns; ++i) work();
  C10_CUDA_CHECK(cudaEventRecord(end, stream));
  C10_CUDA_CHECK(cudaEventSynchronize(end));
  float ms = 0;
  C10_CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
  C10_CUDA_CHECK(cudaEventDestroy(begin));
  C10_CUDA_CHECK(cudaEventDestroy(end));
  return ms / kRuns;
}

// Without LibTorch's copy to the host, which a training step may have forbidden.
double value_of(const at::Tensor& scalar) {
  const at::Tensor value = scalar.to(at::kFloat);
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
  float on_host = 0;
  C10_CUDA_CHECK(cudaMemcpyAsync(&on_host, value.const_data_ptr(), sizeof(on_host),
                                 cudaMemcpyDeviceToHost, stream));
  C10_CUDA_CHECK(cudaStreamSynchronize(stream));
  return on_host;
}

// Each row of sums by itself; NaN is no agreement.
bool agree(const at::Tensor& ours, const at::Tensor& theirs) {
  const at::Tensor a = ours.to(at::kFloat), b = theirs.to(at::kFloat);
  const double difference = value_of(a.sub(b).abs().max());
  return difference <= kTolerance * value_of(b.abs().max());
}

bool agree(const Summed& ours, const Summed& theirs) {
  return agree(ours.values, theirs.values) && agree(ours.sums[0], theirs.sums[0]) &&
         agree(ours.sums[1], theirs.sums[1]);
}

cudnn::Problem problem_of(const at::Tensor& input, const at::Tensor& weight,
                          ConvolutionShape shape) {
  return {input.scalar_type() == at::kHalf ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16,
          input.size(0),
          input.size(1),
          input.size(2),
          input.size(3),
          weight.size(0),
          weight.size(2),
          shape.stride,
          shape.padding,
          shape.groups};
}

bool is_reduced(const at::Tensor& x) {
  return x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16;
}

// As the plans take them.
bool fits(const at::Tensor& x) {
  return x.is_cuda() && is_reduced(x) && x.numel() > 0 &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

Summed room_for(const at::Tensor& like, at::IntArrayRef sizes) {
  return {at::empty(sizes, like.options().memory_format(at::MemoryFormat::ChannelsLast)),
          at::empty({2, sizes[1]}, like.options().dtype(at::kFloat))};
}

// The passes that kernels spare, with their own kernels (model/norm/fused_device.h) in time and
// LibTorch's in value.
at::Tensor sums_of(const at::Tensor& values, const at::Tensor& factor) {
  const at::Tensor v = values.to(at::kFloat);
  const at::Tensor sums = at::empty({2, values.size(1)}, v.options());
  sums[0].copy_(v.sum(at::IntArrayRef({0, 2, 3})));
  sums[1].copy_(v.mul(factor).sum(at::IntArrayRef({0, 2, 3})));
  return sums;
}

class CudnnKernels final : public ConvolutionKernels {
 public:
  std::optional<Summed> forward(const at::Tensor& input, const at::Tensor& weight,
                                ConvolutionShape shape) override {
    if (!fits(input) || !fits(weight)) return std::nullopt;
    const c10::DeviceGuard device(input.device());
    const cudnn::Problem problem = problem_of(input, weight, shape);
    const std::vector<int64_t> sizes = {problem.images, problem.outputs,
                                        problem.out(problem.height), problem.out(problem.width)};
    cudnn::Tensors tensors;
    tensors.input = input.const_data_ptr();
    tensors.weight = weight.const_data_ptr();
    const auto separately = [&] {
      const at::Tensor y = convolve(input, weight, shape);
      return Summed{y, sums_of(y, y.to(at::kFloat))};
    };
    const Work timed = [&] {
      const at::Tensor y = convolve(input, weight, shape);
      const at::Tensor ones = at::empty({y.size(1)}, y.options().dtype(at::kFloat));
      device::norm_statistics(y, {ones, ones, {}, {}}, /*training=*/true);
    };
    return made(cudnn::Fusion::kOutputSums, problem, tensors, room_for(input, sizes), separately,
                timed);
  }

  std::optional<Summed> input_gradient(const at::Tensor& gradient, const at::Tensor& weight,
                                       ConvolutionShape shape, const NormSaved& before) override {
    if (!fits(gradient) || !fits(weight) || !fits(before.x) || !before.relu) return std::nullopt;
    const c10::DeviceGuard device(gradient.device());
    const at::Tensor statistics = before.statistics;
    cudnn::Tensors tensors;
    tensors.gradient = gradient.const_data_ptr();
    tensors.weight = weight.const_data_ptr();
    tensors.x = before.x.const_data_ptr();
    tensors.mean = statistics[0].const_data_ptr();
    tensors.inverse = statistics[1].const_data_ptr();
    tensors.gamma = before.weight.const_data_ptr();
    tensors.beta = before.bias.const_data_ptr();
    const auto of_input = [&] {
      return std::get<0>(at::convolution_backward(
          gradient, before.x, weight, std::nullopt, {shape.stride, shape.stride},
          {shape.padding, shape.padding}, {1, 1}, false, {0, 0}, shape.groups,
          std::array<bool, 3>{true, false, false}));
    };
    const auto separately = [&] {
      const auto of_channel = [](const at::Tensor& c) { return c.view({1, -1, 1, 1}); };
      const at::Tensor centred = before.x.to(at::kFloat).sub(of_channel(statistics[0]));
      const at::Tensor output =
          centred.mul(of_channel(statistics[1].mul(before.weight))).add(of_channel(before.bias));
      const at::Tensor values = of_input().mul(output.gt(0));
      return Summed{values, sums_of(values, centred)};
    };
    // BN's backward without sums and with them: the difference is what they spare.
    const Work timed = [&] { device::norm_backward({of_input(), {}, {}}, before, false); };
    const Summed room = room_for(gradient, before.x.sizes());
    const Work rest = [&] { device::norm_backward({room.values, {}, room.sums}, before, false); };
    return made(cudnn::Fusion::kGradientSums, problem_of(before.x, weight, shape), tensors, room,
                separately, timed, rest);
  }

 private:
  using Key = std::pair<cudnn::Fusion, cudnn::Problem>;

  // Runs the plan for the shape, if one was found to be right and faster than `timed`; `rest` is
  // what remains to be done behind the plan.
  std::optional<Summed> made(
      cudnn::Fusion fusion, const cudnn::Problem& problem, cudnn::Tensors tensors,
      const Summed& room, const std::function<Summed()>& separately, const Work& timed,
      const Work& rest = [] {}) {
    tensors.values = room.values.mutable_data_ptr();
    tensors.first = room.sums[0].mutable_data_ptr();
    tensors.second = room.sums[1].mutable_data_ptr();
    const auto run = [&](const cudnn::Plan& plan) {
      const at::Tensor workspace =
          at::empty({plan.workspace_bytes()},
                    room.values.options().dtype(at::kByte).memory_format(std::nullopt));
      plan.run(at::native::getCudnnHandle(), tensors, workspace.mutable_data_ptr());
    };
    if (problem.channels % 8 != 0 || problem.outputs % 8 != 0) return std::nullopt;  // alignment
    const std::lock_guard lock(mutex_);
    if (at::globalContext().deterministicCuDNN())
      return std::nullopt;  // sums' order is the engine's
    auto found = chosen_.find({fusion, problem});
    if (found == chosen_.end()) {
      const bool recorded =
          c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
      if (recorded || spent_ >= kMostSeconds) return std::nullopt;
      found = chosen_
                  .emplace(Key{fusion, problem},
                           choice(fusion, problem, room, separately, timed, run, rest))
                  .first;
    }
    if (!found->second) return std::nullopt;
    run(*found->second);
    return room;
  }

  std::unique_ptr<cudnn::Plan> choice(cudnn::Fusion fusion, const cudnn::Problem& problem,
                                      const Summed& room, const std::function<Summed()>& separately,
                                      const Work& timed,
                                      const std::function<void(const cudnn::Plan&)>& run,
                                      const Work& rest) {
    const at::NoGradGuard no_grad;
    const Clock::time_point begin = Clock::now();
    auto plans = cudnn::make_plans(at::native::getCudnnHandle(), fusion, problem, kMostPlans);
    std::unique_ptr<cudnn::Plan> best;
    double least = plans.empty() ? 0 : time_of(timed);
    for (auto& plan : plans) {
      const double ms = time_of([&] {
        run(*plan);
        rest();
      });
      if (ms >= least || !agree(room, separately())) continue;
      least = ms;
      best = std::move(plan);
    }
    spent_ += seconds_since(begin);
    spdlog::debug("convolution {} x {} -> {}, {} groups: sums {}", problem.channels, problem.height,
                  problem.outputs, problem.groups, best ? "on its way" : "apart");
    return best;
  }

  std::mutex mutex_;
  std::map<Key, std::unique_ptr<cudnn::Plan>> chosen_;  // null: apart
  double spent_ = 0;                                    // seconds
};

}  // namespace

std::shared_ptr<ConvolutionKernels> device_convolution_kernels() {
  return std::make_shared<CudnnKernels>();
}

}  // namespace resnext
