// Times the training step on synthetic images: forward, backward with the sum over ranks, SGD.
//
//   mpirun -np 2 step_benchmark [--warmup 2 --optimizer sgd --stochastic-depth 0
//                                --recompute-stages 0 --unfused --fused-convolutions --eager
//                                --contiguous]
//                               [options of settings.h]
// The very step of the worker (worker/step/training_step.h), with the moving average behind it
// where the configuration has one, on a GPU where there is one. Prints the configuration and the
// medians over the counted steps; on the CPU a step ends when every rank has finished it, on a GPU
// a step's time is that of ten in a row over ten. Peak memory is the largest of any rank, of the
// device. Calls that make the host wait for a GPU fail the benchmark.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "comm/common/memory.h"
#include "comm/make_communicator.h"
#include "comm/mpi_environment.h"
#include "comm/watch/watch.h"
#include "comm/watch/watchdog.h"
#include "model/network/cost.h"
#include "tests/benchmarks/settings.h"
#include "worker/device/device.h"
#include "worker/device/gpu.h"
#include "worker/step/training_step.h"
#include "worker/step/weight_average.h"

namespace {

using namespace resnext;
using Clock = std::chrono::steady_clock;

struct Settings : BenchmarkSettings {
  int64_t warmup = 2;
};

struct Times {
  std::vector<double> step;    // milliseconds
  double phase[kPhases] = {};  // median on the CPU, the last step's on a GPU
  bool replayed = false;
};

Settings settings_of(int argc, char** argv) {
  Settings s;
  const std::map<std::string, OptimizerKind> optimizers = {{"sgd", OptimizerKind::kSgd},
                                                           {"lars", OptimizerKind::kLars},
                                                           {"lamb", OptimizerKind::kLamb},
                                                           {"adamw", OptimizerKind::kAdamw}};
  CLI::App app{"Times the training step on synthetic images."};
  add_benchmark_options(app, s);
  app.add_option("--recompute-stages", s.run.model.recompute_stages);
  app.add_option("--stochastic-depth", s.run.model.stochastic_depth);
  app.add_option("--optimizer", s.run.optimizer.kind)
      ->transform(CLI::CheckedTransformer(optimizers));
  app.add_option("--warmup", s.warmup, "steps before them");
  app.add_flag("!--unfused", s.run.model.fused, "BN, addition and ReLU one by one");
  app.add_flag("--fused-convolutions", s.run.model.fused_convolutions,
               "BN's sums on a convolution's way, on a GPU");
  app.add_flag("!--eager", s.run.run.graph, "without a CUDA graph");
  app.add_flag("!--contiguous", s.run.precision.channels_last, "NCHW");
  parse(app, argc, argv);
  return s;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Input random_input(const Settings& s, const Precision& precision, at::Device device, int rank) {
  const auto generator = at::detail::createCPUGenerator(1 + rank);
  const auto format =
      precision.channels_last() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  const int64_t n = s.run.batch.per_rank;
  const at::Tensor labels =
      at::randint(0, s.run.model.classes, {n}, generator, at::TensorOptions().dtype(at::kLong));
  return {at::randn({n, 3, s.run.data.size, s.run.data.size}, generator)
              .to(device, precision.compute_type())
              .contiguous(format),
          labels.to(device), n};
}

// Reading a value waits for all that the device has to do.
void finish(const TrainingStep& step, Communicator& communicator) {
  step.report()[0].item<double>();
  communicator.barrier();
}

std::unique_ptr<WeightAverage> average_of(const RunConfig& run, const Precision& precision,
                                          at::Device device, ResNeXt& model) {
  if (run.ema.decay == 0) return nullptr;
  ResNeXt network(run.model, 1);
  network.to(device, precision.parameter_type(), precision.channels_last());
  return std::make_unique<WeightAverage>(run.ema, std::move(network), model);
}

Times measure(const Settings& s, Communicator& communicator, const ComputeDevice& device) {
  const Precision precision(s.run.precision, device.torch());
  ResNeXt model(s.run.model, 1);
  model.to(device.torch(), precision.parameter_type(), precision.channels_last());
  Meters meters(nullptr, device.is_gpu());
  TrainingStep step(s.run, precision, model, communicator, meters, {});
  const auto average = average_of(s.run, precision, device.torch(), model);
  const Input input = random_input(s, precision, device.torch(), communicator.rank());
  const int64_t global_batch = s.run.batch.per_rank * communicator.size();
  Position position;
  const auto run = [&] {
    step.draw(position);
    step.run(0.01, false, [&] { return input; });
    if (average) average->follow(position, global_batch);
    position.images += global_batch;
  };
  const int64_t together = device.is_gpu() ? 10 : 1;
  for (int64_t i = 0; i < s.warmup + (device.is_gpu() ? StepGraph::kWarmUp + 1 : 0); ++i) run();
  Times times;
  std::vector<double> phases[kPhases];
  for (int64_t i = 0; i < s.steps; ++i) {
    finish(step, communicator);
    meters.reset();
    const auto start = Clock::now();
    {
      const ForbidSynchronisation forbid;
      for (int64_t k = 0; k < together; ++k) run();
    }
    finish(step, communicator);
    times.step.push_back(ms_since(start) / static_cast<double>(together));
    for (int p = 0; p < kPhases; ++p) {
      phases[p].push_back(meters.mean_ms(static_cast<Phase>(p)));
    }
  }
  for (int p = 0; p < kPhases; ++p) times.phase[p] = median(phases[p]);
  times.replayed = step.replayed();
  return times;
}

double largest(double value, Communicator& communicator) {
  communicator.all_reduce({&value, 1, DataType::kFloat64}, ReduceOp::kMax);
  return value;
}

void report(const Settings& s, const Times& t, const ComputeDevice& device, int ranks,
            double peak_mib) {
  const double step = median(t.step);
  const auto images = static_cast<double>(s.run.batch.per_rank * ranks);
  const double rate = 1000 * images / step;
  // Multiply-adds of backward are twice forward's; two operations each.
  const double tflops = rate / ranks * 6 * model_cost(s.run.model, s.run.data.size).gmac / 1000;
  const auto ms = [&](Phase p) { return t.phase[static_cast<int>(p)]; };
  std::puts(fmt::format(
                "resnext ResNeXt-{} {}x{}d w{} bs{} {} px {} {} threads{}: step {:.4g} ms forward "
                "{:.4g} backward {:.4g} exposed comm {:.3g} optimizer {:.3g} peak {:.0f} MiB a "
                "rank {:.2f} TFLOP/s  {:.2f} img/s",
                s.run.model.depth, s.run.model.cardinality, s.run.model.base_width, ranks,
                s.run.batch.per_rank, s.run.data.size, device.name(), at::get_num_threads(),
                t.replayed ? " graph" : "", step, ms(Phase::kForward), ms(Phase::kBackward),
                ms(Phase::kExposedComm), ms(Phase::kOptimizer), peak_mib, tflops, rate)
                .c_str());
  if (s.json.empty()) return;
  const nlohmann::ordered_json figures = {{"device", device.name()},
                                          {"ranks", ranks},
                                          {"batch", s.run.batch.per_rank},
                                          {"graph", t.replayed},
                                          {"images_per_second", rate},
                                          {"step_ms", step},
                                          {"forward_ms", ms(Phase::kForward)},
                                          {"backward_ms", ms(Phase::kBackward)},
                                          {"exposed_comm_ms", ms(Phase::kExposedComm)},
                                          {"optimizer_ms", ms(Phase::kOptimizer)},
                                          {"peak_mib", peak_mib},
                                          {"tflops", tflops}};
  std::ofstream(s.json) << figures.dump(2) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  const Settings s = settings_of(argc, argv);
  watch::Watchdog watchdog;
  const MpiEnvironment environment(&watchdog);
  set_up_log(environment.rank(), environment.size());
  try {
    at::globalContext().setBenchmarkCuDNN(true);
    const ComputeDevice device(select_cuda_device(s.run.comm.backend, environment));
    const auto communicator = make_communicator(s.run.comm, environment, device.for_communicator());
    const Times times = measure(s, *communicator, device);
    const double peak = largest(device.peak_memory_mib(), *communicator);
    if (environment.rank() == 0) report(s, times, device, environment.size(), peak);
  } catch (const std::exception& error) {
    return watch::fail(to_error(error));
  }
  return 0;
}
