// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/layout_timing.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/full.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <tuple>

namespace resnext {
namespace {

constexpr size_t kWarmUps = 3;  // the library may try several algorithms first
constexpr size_t kRuns = 7;

bool same_shape(const LayerShape& a, const LayerShape& b) {
  const auto shape = [](const LayerShape& layer) {
    return std::tie(layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.groups,
                    layer.output_side);
  };
  return shape(a) == shape(b);
}

std::vector<LayoutTiming> distinct_grouped(const std::vector<LayerShape>& layers) {
  std::vector<LayoutTiming> found;
  for (const LayerShape& layer : layers) {
    if (layer.groups == 1) continue;
    const auto known = std::ranges::find_if(
        found, [&](const LayoutTiming& timing) { return same_shape(timing.layer, layer); });
    if (known == found.end()) {
      found.push_back({layer, 1});
    } else {
      ++known->layers;
    }
  }
  return found;
}

void wait_for(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

// The output serves as its own gradient.
void forward_backward(const LayerShape& layer, const at::Tensor& input, const at::Tensor& weight) {
  const std::vector<int64_t> stride(2, layer.stride), padding(2, layer.kernel / 2), ones(2, 1);
  const at::Tensor output = at::conv2d(input, weight, {}, stride, padding, ones, layer.groups);
  at::convolution_backward(output, input, weight, at::OptionalIntArrayRef(), stride, padding, ones,
                           /*transposed=*/false, /*output_padding=*/std::vector<int64_t>(2, 0),
                           layer.groups, {true, true, false});
}

double run_ms(const LayerShape& layer, const at::Tensor& input, const at::Tensor& weight) {
  using Clock = std::chrono::steady_clock;
  wait_for(input.device());
  const auto start = Clock::now();
  forward_backward(layer, input, weight);
  wait_for(input.device());
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// An input of stride times the output's side gives an output of that side.
double median_ms(const LayerShape& layer, int64_t batch, const at::TensorOptions& options,
                 at::MemoryFormat format) {
  const int64_t side = layer.output_side * layer.stride;
  const auto filled = [&](std::vector<int64_t> sizes) {
    return at::full(sizes, 0.01, options).contiguous(format);
  };
  const at::Tensor input = filled({batch, layer.in_channels, side, side});
  const at::Tensor weight =
      filled({layer.out_channels, layer.in_channels / layer.groups, layer.kernel, layer.kernel});
  for (size_t i = 0; i < kWarmUps; ++i) run_ms(layer, input, weight);
  std::vector<double> runs(kRuns);
  std::ranges::generate(runs, [&] { return run_ms(layer, input, weight); });
  std::ranges::nth_element(runs, runs.begin() + kRuns / 2);
  return runs[kRuns / 2];
}

}  // namespace

std::vector<LayoutTiming> time_grouped_convolutions(const ModelOptions& options, int64_t batch,
                                                    int64_t image_size, at::Device device,
                                                    at::ScalarType type) {
  if (options.block == Block::kB) return {};  // its paths are separate convolutions
  const at::NoGradGuard no_graph;
  const auto tensors = at::TensorOptions().device(device).dtype(type);
  std::vector<LayoutTiming> timings = distinct_grouped(layer_shapes(options, image_size));
  for (LayoutTiming& timing : timings) {
    timing.channels_last_ms =
        median_ms(timing.layer, batch, tensors, at::MemoryFormat::ChannelsLast);
    timing.contiguous_ms = median_ms(timing.layer, batch, tensors, at::MemoryFormat::Contiguous);
  }
  return timings;
}

std::string slower_layout_warning(const std::vector<LayoutTiming>& timings) {
  double channels_last = 0, contiguous = 0;
  for (const LayoutTiming& timing : timings) {
    const auto layers = static_cast<double>(timing.layers);
    channels_last += layers * timing.channels_last_ms;
    contiguous += layers * timing.contiguous_ms;
  }
  if (channels_last <= contiguous) return "";
  return fmt::format(
      "the grouped convolutions of one micro-batch take {:.1f} ms in channels-last order and "
      "{:.1f} ms in contiguous order on this device: compare the whole step with "
      "precision.channels_last: false",
      channels_last, contiguous);
}

}  // namespace resnext
