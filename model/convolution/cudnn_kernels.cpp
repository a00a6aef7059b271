// For builds with CUDA: cuDNN's engines, each shape's is used where a trial finds it right and
// faster.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cudnn/Handle.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "comm/common/error.h"
#include "model/convolution/convolution_kernels.h"
#include "model/convolution/cudnn_graph.h"
#include "model/norm/fused_device.h"

namespace resnext {
namespace {

using Clock = std::chrono::steady_clock;
using Work = std::function<void()>;

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
  at::cuda::CUDAEvent begin(cudaEventDefault), end(cudaEventDefault);
  work();
  begin.record();
  for (int i = 0; i < kRuns; ++i) work();
  end.record();
  end.synchronize();
  return begin.elapsed_time(end) / kRuns;
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

// NaN is no agreement.
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

// As the plans take them.
bool fits(const at::Tensor& x) {
  const bool reduced = x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16;
  return x.is_cuda() && reduced && x.numel() > 0 &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

Summed room_for(const at::Tensor& like, at::IntArrayRef sizes) {
  return {at::empty(sizes, like.options().memory_format(at::MemoryFormat::ChannelsLast)),
          at::empty({2, sizes[1]}, like.options().dtype(at::kFloat))};
}

// Over pixels of `values` and of their product with `factor`.
at::Tensor sums_of(const at::Tensor& values, const at::Tensor& factor) {
  const at::Tensor v = values.to(at::kFloat);
  const at::Tensor sums = at::empty({2, values.size(1)}, v.options());
  sums[0].copy_(v.sum(at::IntArrayRef({0, 2, 3})));
  sums[1].copy_(v.mul(factor).sum(at::IntArrayRef({0, 2, 3})));
  return sums;
}

// One fusion of one shape, and what it stands for.
struct Attempt {
  cudnn::Fusion fusion;
  cudnn::Problem problem;
  cudnn::Tensors tensors;
  Summed room;  // for its results
  std::function<Summed()> separate_values;
  // What the norm and the convolution do without it, and what the norm has to do behind it: with
  // the kernels that a step has.
  Work separate_work;
  Work rest = [] {};

  void run(const cudnn::Plan& plan) const {
    cudnn::Tensors all = tensors;
    all.values = room.values.mutable_data_ptr();
    all.first = room.sums[0].mutable_data_ptr();
    all.second = room.sums[1].mutable_data_ptr();
    const auto bytes = room.sums.options().dtype(at::kByte);
    const at::Tensor workspace = at::empty({plan.workspace_bytes()}, bytes);
    plan.run(at::native::getCudnnHandle(), all, workspace.mutable_data_ptr());
  }
};

Attempt output_sums(const at::Tensor& input, const at::Tensor& weight, ConvolutionShape shape) {
  const cudnn::Problem p = problem_of(input, weight, shape);
  cudnn::Tensors tensors;
  tensors.input = input.const_data_ptr();
  tensors.weight = weight.const_data_ptr();
  const auto values = [=] {
    const at::Tensor y = convolve(input, weight, shape);
    return Summed{y, sums_of(y, y.to(at::kFloat))};
  };
  const Work work = [=] {
    const at::Tensor y = convolve(input, weight, shape);
    const at::Tensor any = at::empty({y.size(1)}, y.options().dtype(at::kFloat));
    device::norm_statistics(y, {any, any, {}, {}}, /*training=*/true);
  };
  return {cudnn::Fusion::kOutputSums,
          p,
          tensors,
          room_for(input, {p.images, p.outputs, p.out(p.height), p.out(p.width)}),
          values,
          work};
}

at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& input,
                          const at::Tensor& weight, ConvolutionShape shape) {
  return std::get<0>(
      at::convolution_backward(gradient, input, weight, std::nullopt, {shape.stride, shape.stride},
                               {shape.padding, shape.padding}, {1, 1}, /*transposed=*/false, {0, 0},
                               shape.groups, std::array<bool, 3>{true, false, false}));
}

Attempt gradient_sums(const at::Tensor& gradient, const at::Tensor& weight, ConvolutionShape shape,
                      const NormSaved& before) {
  const at::Tensor mean = before.statistics[0], inverse = before.statistics[1];
  cudnn::Tensors tensors;
  tensors.gradient = gradient.const_data_ptr();
  tensors.weight = weight.const_data_ptr();
  tensors.x = before.x.const_data_ptr();
  tensors.mean = mean.const_data_ptr();
  tensors.inverse = inverse.const_data_ptr();
  tensors.gamma = before.weight.const_data_ptr();
  tensors.beta = before.bias.const_data_ptr();
  const auto of_input = [=] { return input_gradient(gradient, before.x, weight, shape); };
  const auto values = [=] {
    const auto of_channel = [](const at::Tensor& c) { return c.view({1, -1, 1, 1}); };
    const at::Tensor centred = before.x.to(at::kFloat).sub(of_channel(mean));
    const at::Tensor output =
        centred.mul(of_channel(inverse.mul(before.weight))).add(of_channel(before.bias));
    const at::Tensor behind = of_input().mul(output.gt(0));
    return Summed{behind, sums_of(behind, centred)};
  };
  const Summed room = room_for(gradient, before.x.sizes());
  const Work work = [=] { device::norm_backward({of_input(), {}, {}}, before, false); };
  const Work rest = [=] { device::norm_backward({room.values, {}, room.sums}, before, false); };
  return {cudnn::Fusion::kGradientSums,
          problem_of(before.x, weight, shape),
          tensors,
          room,
          values,
          work,
          rest};
}

// cuDNN's first choice, if it agrees with separate operations and takes less time; null: not. Only
// one is tried, as compiling one takes seconds.
std::unique_ptr<cudnn::Plan> better_plan(const Attempt& attempt) {
  const at::NoGradGuard no_grad;
  auto plans =
      cudnn::make_plans(at::native::getCudnnHandle(), attempt.fusion, attempt.problem, /*most=*/1);
  if (plans.empty()) return nullptr;
  const double separate_ms = time_of(attempt.separate_work);
  const double ms = time_of([&] {
    attempt.run(*plans[0]);
    attempt.rest();
  });
  if (ms >= separate_ms || !agree(attempt.room, attempt.separate_values())) return nullptr;
  return std::move(plans[0]);
}

// What fails on trial stays apart: a plan that cuDNN cannot run, or too little memory to compare.
std::unique_ptr<cudnn::Plan> tried(const Attempt& attempt) {
  try {
    return better_plan(attempt);
  } catch (const Error&) {
  } catch (const c10::OutOfMemoryError&) {
  }
  return nullptr;
}

class CudnnKernels final : public ConvolutionKernels {
 public:
  std::optional<Summed> forward(const at::Tensor& input, const at::Tensor& weight,
                                ConvolutionShape shape) override {
    if (!fits(input) || !fits(weight)) return std::nullopt;
    const c10::DeviceGuard device(input.device());
    return made(output_sums(input, weight, shape));
  }

  std::optional<Summed> input_gradient(const at::Tensor& gradient, const at::Tensor& weight,
                                       ConvolutionShape shape, const NormSaved& before) override {
    if (!fits(gradient) || !fits(weight) || !fits(before.x) || !before.relu) return std::nullopt;
    const c10::DeviceGuard device(gradient.device());
    return made(gradient_sums(gradient, weight, shape, before));
  }

 private:
  // An engine adds sums in an order of its own; pixels and rows of sums are to be aligned.
  std::optional<Summed> made(const Attempt& attempt) {
    const bool aligned = attempt.problem.channels % 8 == 0 && attempt.problem.outputs % 8 == 0;
    if (!aligned || at::globalContext().deterministicCuDNN()) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const cudnn::Plan* plan = plan_for(attempt);
    if (!plan) return std::nullopt;
    attempt.run(*plan);
    return attempt.room;
  }

  // A graph that is being recorded uses what was chosen before.
  const cudnn::Plan* plan_for(const Attempt& attempt) {
    const std::pair key(attempt.fusion, attempt.problem);
    const auto found = chosen_.find(key);
    if (found != chosen_.end()) return found->second.get();
    const bool recorded =
        c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
    if (recorded || spent_ >= kMostSeconds) return nullptr;
    const Clock::time_point begin = Clock::now();
    const cudnn::Plan* plan = (chosen_[key] = tried(attempt)).get();
    spent_ += seconds_since(begin);
    const cudnn::Problem& p = attempt.problem;
    spdlog::debug("convolution {} x {} -> {}, kernel {}, {} groups: sums of the {} {}", p.channels,
                  p.height, p.outputs, p.kernel, p.groups,
                  attempt.fusion == cudnn::Fusion::kOutputSums ? "output" : "gradient",
                  plan ? "on its way" : "apart");
    return plan;
  }

  std::mutex mutex_;
  std::map<std::pair<cudnn::Fusion, cudnn::Problem>, std::unique_ptr<cudnn::Plan>> chosen_;
  double spent_ = 0;  // seconds, on trials
};

}  // namespace

std::shared_ptr<ConvolutionKernels> device_convolution_kernels() {
  return std::make_shared<CudnnKernels>();
}

}  // namespace resnext
