// Where a training step's time goes by kind of layer, beside what this machine needs at least.
//
//   layer_benchmark [--seconds 60] [options of settings.h]
// First measures two rates: bytes of a copy, read and written, and operations of a large product of
// matrices in the compute type. Then runs each layer of the plan by itself, forward and backward,
// equal ones once, and prints for each kind how many there are, what they take, and their floor:
// the longer of arithmetic and traffic at those rates (model/network/cost_profile.h). Layers that
// are short on a GPU show the time of their launches, which a replayed graph does not have. What
// --seconds leave no time for is named and has no time.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "comm/common/error.h"
#include "comm/common/memory.h"
#include "comm/mpi_environment.h"
#include "model/network/cost_profile.h"
#include "model/network/layer_graph.h"
#include "tests/benchmarks/settings.h"
#include "worker/device/device.h"
#include "worker/step/precision.h"

namespace {

using namespace resnext;
using Clock = std::chrono::steady_clock;

struct Settings : BenchmarkSettings {
  double seconds = 60;
};

Settings settings_of(int argc, char** argv) {
  Settings s;
  CLI::App app{"Times a network's layers one by one."};
  add_benchmark_options(app, s);
  app.add_option("--seconds", s.seconds, "that all may take");
  parse(app, argc, argv);
  return s;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void wait_for(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

// Seconds of one call: the median of five times so many in a row, after two to warm up.
double seconds_of(at::Device device, int in_a_row, const std::function<void()>& call) {
  for (int i = 0; i < 2; ++i) call();
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) {
    wait_for(device);
    const auto start = Clock::now();
    for (int k = 0; k < in_a_row; ++k) call();
    wait_for(device);
    times.push_back(seconds_since(start) / in_a_row);
  }
  std::ranges::sort(times);
  return times[2];
}

MachineRates measure_rates(at::Device device, at::ScalarType type) {
  const bool gpu = !device.is_cpu();
  const int64_t side = gpu ? 8192 : 1024, bytes = int64_t{1} << (gpu ? 30 : 27);
  const auto options = at::TensorOptions().device(device);
  const at::Tensor a = at::full({side, side}, 0.5, options.dtype(type)), b = a.clone();
  at::Tensor c = at::empty_like(a);
  const double product = seconds_of(device, gpu ? 10 : 1, [&] { at::matmul_out(c, a, b); });
  const at::Tensor from = at::full({bytes}, 1, options.dtype(at::kByte));
  at::Tensor to = at::empty_like(from);
  const double copy = seconds_of(device, gpu ? 10 : 1, [&] { to.copy_(from); });
  const auto n = static_cast<double>(side);
  return {2 * n * n * n / product, 2 * static_cast<double>(bytes) / copy};
}

// One layer, or a BN and the addition that it takes along, reading what is given.
std::vector<PlannedLayer> alone(const std::vector<LayerShape>& layers, size_t i) {
  PlannedLayer layer = layers[i];
  layer.inputs.assign(layer.inputs.size(), kImages);
  std::vector<PlannedLayer> made = {layer};
  if (!layer.joins_the_addition) return made;
  PlannedLayer addition = layers[i + 1];
  for (size_t j = i + 1; addition.kind != LayerKind::kAddition; ++j) addition = layers[j];
  addition.inputs = {0, kImages};
  made.push_back(addition);
  return made;
}

class LayerTimer {
 public:
  LayerTimer(const Settings& settings, const ComputeDevice& device)
      : settings_(settings),
        device_(device.torch()),
        precision_(settings.run.precision, device_),
        layers_(all_layer_shapes(settings.run.model, settings.run.data.size)) {}

  const Precision& precision() const { return precision_; }
  bool known(size_t i) const { return seconds_.contains(shape_of(i)); }

  // Forward and backward of layer `i`, seconds; of equal ones the same.
  double seconds(size_t i) {
    const auto [found, is_new] = seconds_.try_emplace(shape_of(i), 0);
    if (is_new) found->second = measure(i);
    return found->second;
  }

 private:
  using Shape = std::tuple<LayerKind, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool,
                           bool, Activation>;

  Shape shape_of(size_t i) const {
    const LayerShape& l = layers_[i];
    return {l.kind,
            l.in_channels,
            l.out_channels,
            l.kernel,
            l.stride,
            l.groups,
            l.input_side,
            l.joins_the_addition,
            l.inputs.front() == kImages,
            l.activation};
  }

  double measure(size_t i) const {
    const LayerShape& layer = layers_[i];
    LayerGraph graph(alone(layers_, i), settings_.run.model.fused,
                     at::detail::createCPUGenerator(1));
    graph.visit([&](const std::string&, at::Tensor& tensor, bool is_parameter) {
      if (tensor.dim() == 0) return;
      tensor = tensor.to(device_, precision_.parameter_type());
      if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
      if (is_parameter) tensor.requires_grad_();
    });
    const int64_t side = layer.input_side;
    at::Tensor x = at::full({settings_.run.batch.per_rank, layer.in_channels, side, side}, 0.5,
                            at::TensorOptions().device(device_).dtype(precision_.compute_type()))
                       .contiguous(at::MemoryFormat::ChannelsLast);
    if (layer.inputs.front() != kImages) x.requires_grad_();
    const LayerRange whole{0, layer.joins_the_addition ? size_t{2} : size_t{1}};
    return seconds_of(device_, device_.is_cpu() ? 1 : 10, [&] {
      const Precision::Scope scope(precision_);
      const at::Tensor y = graph.run(whole, x, Mode::kTrain);
      y.backward(y.detach());
    });
  }

  const Settings& settings_;
  const at::Device device_;
  const Precision precision_;
  const std::vector<LayerShape> layers_;
  std::map<Shape, double> seconds_;
};

struct Kind {
  int64_t layers = 0, left_out = 0;
  double ms = 0, floor_ms = 0;
};

std::map<std::string, Kind> by_kind(const Settings& s, LayerTimer& timer, const MachineRates& rates,
                                    Clock::time_point start) {
  const int64_t element = c10::elementSize(timer.precision().compute_type());
  const std::vector<LayerShape> shapes = all_layer_shapes(s.run.model, s.run.data.size);
  std::map<std::string, Kind> kinds;
  for (const LayerWork& work :
       layer_work(s.run.model, s.run.data.size, s.run.batch.per_rank, element)) {
    const auto place = std::ranges::find(shapes, work.name, &LayerShape::name);
    const auto i = static_cast<size_t>(place - shapes.begin());
    Kind& kind = kinds[std::string(work.label)];
    ++kind.layers;
    kind.floor_ms += 1000 * (least_time(work.forward, rates) + least_time(work.backward, rates));
    if (!timer.known(i) && seconds_since(start) > s.seconds) {
      ++kind.left_out;
    } else {
      kind.ms += 1000 * timer.seconds(i);
    }
  }
  return kinds;
}

void report(const Settings& s, const std::map<std::string, Kind>& kinds, const MachineRates& rates,
            const std::string& device) {
  nlohmann::ordered_json json = {{"device", device},
                                 {"matrix_tflops", rates.operations / 1e12},
                                 {"copy_gb_per_s", rates.bytes / 1e9}};
  std::puts(fmt::format("{}: products {:.3g} TFLOP/s, copies {:.4g} GB/s\n{:<12} {:>6} {:>9} "
                        "{:>9} {:>8}",
                        device, rates.operations / 1e12, rates.bytes / 1e9, "kind", "layers", "ms",
                        "floor ms", "/ floor")
                .c_str());
  Kind sum;
  const auto print = [](const std::string& name, const Kind& k) {
    std::puts(fmt::format("{:<12} {:>6} {:>9.2f} {:>9.2f} {:>8.2f}{}", name, k.layers, k.ms,
                          k.floor_ms, k.ms / k.floor_ms,
                          k.left_out > 0 ? fmt::format("  {} left out: no time", k.left_out) : "")
                  .c_str());
  };
  for (const auto& [name, k] : kinds) {
    print(name, k);
    json["kinds"][name] = {
        {"layers", k.layers}, {"left_out", k.left_out}, {"ms", k.ms}, {"floor_ms", k.floor_ms}};
    sum.layers += k.layers;
    sum.left_out += k.left_out;
    sum.ms += k.ms;
    sum.floor_ms += k.floor_ms;
  }
  print("all", sum);
  json["ms"] = sum.ms;
  json["floor_ms"] = sum.floor_ms;
  if (!s.json.empty()) std::ofstream(s.json) << json.dump(2) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  const Settings s = settings_of(argc, argv);
  const MpiEnvironment environment;
  try {
    at::globalContext().setBenchmarkCuDNN(true);
    const ComputeDevice device(select_cuda_device(s.run.comm.backend, environment));
    LayerTimer timer(s, device);
    const MachineRates rates = measure_rates(device.torch(), timer.precision().compute_type());
    report(s, by_kind(s, timer, rates, Clock::now()), rates, device.name());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(to_error(error).exit_code());
  }
  return 0;
}
