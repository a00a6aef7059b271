// Times the training step on synthetic images: forward, backward with the sum over ranks, SGD.
//
//   mpirun -np 2 step_benchmark [--depth 50 --cardinality 32 --base-width 4 --batch 8 --size 224
//                                --steps 12 --warmup 2 --unfused]
// Prints the configuration and the medians over the counted steps; a step ends when every rank has
// finished it. Peak memory is the largest resident set of any rank.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "comm/gradient_reducer.h"
#include "comm/make_communicator.h"
#include "comm/mpi_environment.h"
#include "model/resnext.h"
#include "worker/memory.h"
#include "worker/optimizer.h"

namespace {

using namespace resnext;
using Clock = std::chrono::steady_clock;

struct Settings {
  ModelOptions model;
  int64_t batch = 8;
  int64_t size = 224;
  int64_t steps = 12;
  int64_t warmup = 2;
};

struct StepTimes {
  std::vector<double> step, forward, backward, comm, optimizer;  // milliseconds
};

Settings parse(int argc, char** argv) {
  Settings s;
  s.model.classes = 1000;
  CLI::App app{"Times the training step on synthetic images."};
  app.add_option("--depth", s.model.depth);
  app.add_option("--cardinality", s.model.cardinality);
  app.add_option("--base-width", s.model.base_width);
  app.add_option("--batch", s.batch, "images a rank");
  app.add_option("--size", s.size);
  app.add_option("--steps", s.steps, "counted steps");
  app.add_option("--warmup", s.warmup, "steps before them");
  app.add_flag("!--unfused", s.model.fused, "BN, addition and ReLU one by one");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return s;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

StepTimes measure(const Settings& s, Communicator& communicator) {
  ResNeXt model(s.model, 1);
  model.to(at::kCPU, at::kFloat, /*channels_last=*/true);
  GradientReducer reducer(communicator, model.parameters(), {});
  Optimizer optimizer({}, model.parameters(), model.parameter_names());
  const auto generator = at::detail::createCPUGenerator(1 + communicator.rank());
  const at::Tensor images =
      at::randn({s.batch, 3, s.size, s.size}, generator).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor labels =
      at::randint(0, s.model.classes, {s.batch}, generator, at::TensorOptions().dtype(at::kLong));
  StepTimes times;
  for (int64_t step = -s.warmup; step < s.steps; ++step) {
    communicator.barrier();
    const auto start = Clock::now();
    auto last = start;
    const auto lap = [&last] {
      const auto now = Clock::now();
      return std::chrono::duration<double, std::milli>(now - std::exchange(last, now)).count();
    };
    reducer.begin();
    const at::Tensor loss = at::cross_entropy_loss(model.forward(images, Mode::kTrain), labels);
    const double forward = lap();
    reducer.arm();
    loss.div(communicator.size()).backward();
    const double backward = lap();
    reducer.wait();
    const double comm = lap();
    optimizer.step(0.01);
    const double update = lap();
    communicator.barrier();
    if (step < 0) continue;
    times.step.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    times.forward.push_back(forward);
    times.backward.push_back(backward);
    times.comm.push_back(comm);
    times.optimizer.push_back(update);
  }
  return times;
}

double peak_mib(Communicator& communicator) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  double mib = static_cast<double>(usage.ru_maxrss) / 1024;
  communicator.all_reduce({&mib, 1, DataType::kFloat64}, ReduceOp::kMax);
  return mib;
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  const Settings s = parse(argc, argv);
  const MpiEnvironment environment;
  const auto communicator = make_communicator({}, environment);
  const StepTimes t = measure(s, *communicator);
  const double peak = peak_mib(*communicator);
  if (environment.rank() != 0) return 0;
  const double step = median(t.step);
  std::puts(fmt::format("resnext ResNeXt-{} {}x{}d w{} bs{} {} px {} threads: step {:.0f} ms "
                        "forward {:.0f} backward {:.0f} exposed comm {:.0f} optimizer {:.0f} "
                        "peak {:.0f} MiB a rank  {:.2f} img/s",
                        s.model.depth, s.model.cardinality, s.model.base_width, environment.size(),
                        s.batch, s.size, at::get_num_threads(), step, median(t.forward),
                        median(t.backward), median(t.comm), median(t.optimizer), peak,
                        1000.0 * static_cast<double>(s.batch * environment.size()) / step)
                .c_str());
  return 0;
}
