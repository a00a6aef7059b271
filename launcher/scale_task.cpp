// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/scale_task.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/child_process.h"
#include "launcher/programs.h"
#include "launcher/reaper.h"
#include "launcher/run_task.h"
#include "launcher/scale_prediction.h"
#include "launcher/scale_table.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

bool names(const std::vector<std::string>& overrides, const std::string& key) {
  return std::ranges::any_of(overrides,
                             [&](const auto& text) { return text.starts_with(key + "="); });
}

class Measurement {
 public:
  Measurement(const ScaleTask& task, SignalInbox& inbox) : task_(task), inbox_(inbox) {
    const RunConfig config = read_run_config(task.launch.config, overrides("", 0));
    folder_ = task.output.empty() ? fs::path(config.run.output + "-scale-" + stamp())
                                  : fs::path(task.output);
    if (fs::exists(folder_ / "scale.json") || fs::exists(run_folder(task.ranks.front()))) {
      throw ConfigError("--output", folder_.string() + " holds an earlier measurement",
                        "name another folder");
    }
    for (const int ranks : task.ranks)
      plan(ranks, run_task(ranks).launch);  // nothing is refused later
    scaling_ = config.batch.global > 0
                   ? fmt::format("strong scaling: {} images a step in all", config.batch.global)
                   : fmt::format("weak scaling: {} images a step and rank",
                                 config.batch.per_rank * config.batch.accumulation);
  }

  int run() {
    int code = 0;
    for (const int ranks : task_.ranks) {
      spdlog::info("measuring {} rank{}", ranks, ranks == 1 ? "" : "s");
      code = execute(run_task(ranks), inbox_);
      if (code != 0) break;
      std::error_code ignored;  // of random images nobody needs one
      fs::remove_all(run_folder(ranks) / "checkpoints", ignored);
      points_.push_back(measured_point(read_metrics(run_folder(ranks)), ranks, warmup()));
      if (ranks > 1) points_.back().all_reduce_ms = time_all_reduce(ranks);
      write_file(folder_ / "scale.json", json().dump(1) + "\n");
    }
    if (!points_.empty()) tell();
    return code;
  }

 private:
  static std::string stamp() {
    return fmt::format("{:%Y%m%d-%H%M%S}", fmt::localtime(std::time(nullptr)));
  }
  fs::path run_folder(int ranks) const { return folder_ / fmt::format("ranks-{}", ranks); }

  // Steps between two log lines: several lines count, so that a median means something.
  int64_t log_steps() const { return std::clamp<int64_t>(task_.steps / 5, 1, 10); }
  int64_t warmup() const { return (task_.warmup + log_steps() - 1) / log_steps() * log_steps(); }

  // What the user says comes behind, so that it counts.
  std::vector<std::string> overrides(const std::string& output, int64_t steps) const {
    std::vector<std::string> all = {"run.resume=none",          "checkpoint.every_epochs=0",
                                    "checkpoint.every_steps=0", "checkpoint.local=\"\"",
                                    "log.tensorboard=false",    "data.validation=\"\""};
    if (!names(task_.launch.overrides, "data.train")) {
      all.insert(all.end(), {"data.train=synthetic", "data.images=\"\"", "data.labels=\"\"",
                             "data.validation_labels=\"\"", "data.recipe=none"});
    }
    all.insert(all.end(), task_.launch.overrides.begin(), task_.launch.overrides.end());
    all.push_back(fmt::format("log.every_steps={}", log_steps()));
    all.push_back(fmt::format("run.steps={}", steps));
    if (!output.empty()) all.push_back("run.output=" + output);
    return all;
  }

  RunTask run_task(int ranks) const {
    RunTask run;
    run.launch = task_.launch;
    run.launch.ranks = ranks;
    run.launch.overrides = overrides(run_folder(ranks).string(), warmup() + task_.steps);
    run.hosts = task_.hosts;
    run.hostfile = task_.hostfile;
    return run;
  }

  LaunchPlan plan(int ranks, LaunchOptions options) const {
    options.worker = program_beside("resnext_worker");
    options.ranks = ranks;
    const RunConfig config = read_run_config(task_.launch.config, overrides("", 0));
    return make_launch_plan(find_allocation(inspect_machine(), hosts()), config, options);
  }

  std::string hosts() const {
    return task_.hostfile.empty() ? task_.hosts : read_hostfile(task_.hostfile);
  }

  // 0 where it could not be measured, which is said.
  double time_all_reduce(int ranks) const {
    LaunchOptions options = task_.launch;
    options.overrides = overrides("", 0);
    options.overrides.insert(options.overrides.end(), {"--all-reduce", "--json"});
    const LaunchPlan launch = plan(ranks, options);
    const std::string output = (run_folder(ranks) / "all_reduce.log").string();
    const Reaper reaper;
    const int code = run_until_stopped(
        {.argv = launch.argv, .environment = launch.environment, .output = output}, inbox_, [] {});
    reaper.end_strays();
    const double ms = code == 0 ? all_reduce_ms_of(read_file(output)) : 0;
    if (ms == 0) spdlog::warn("the sum over {} ranks could not be measured: see {}", ranks, output);
    return ms;
  }

  nlohmann::ordered_json json() const {
    return {{"configuration", task_.launch.config},
            {"overrides", task_.launch.overrides},
            {"scaling", scaling_},
            {"points", to_json(points_)}};
  }

  void tell() const {
    if (task_.json) {
      std::puts(json().dump(1).c_str());
      return;
    }
    std::fputs(to_columns(to_rows(points_)).c_str(), stdout);
    std::printf("%s; medians of %lld steps on each number of ranks; %s\n", scaling_.c_str(),
                static_cast<long long>(task_.steps), (folder_ / "scale.json").c_str());
  }

  const ScaleTask& task_;
  SignalInbox& inbox_;
  fs::path folder_;
  std::string scaling_;
  std::vector<ScalePoint> points_;
};

int tell_prediction(const ScaleTask& task) {
  std::vector<std::string> overrides = task.launch.overrides;
  RunConfig config = read_run_config(task.launch.config, overrides);
  constexpr int64_t kImagenetClasses = 1000;
  if (config.model.classes == 0) config.model.classes = kImagenetClasses;
  const std::vector<Prediction> predictions = predict(config, task.ranks, task.prediction);
  if (task.json) {
    std::puts(to_json(predictions).dump(1).c_str());
    return 0;
  }
  std::fputs(to_columns(to_rows(predictions)).c_str(), stdout);
  const PredictionOptions& p = task.prediction;
  std::puts(
      fmt::format("predicted, not measured: computing {}; {} rank{} a host, {:g} us and {:g} GB/s "
                  "within hosts, {:g} us and {:g} GB/s between; ranks' times spread by {:g} %",
                  p.from.empty() ? fmt::format("at {:g} TFLOP/s and {:g} GB/s of memory", p.tflops,
                                               p.memory_gb_per_s)
                                 : "as one rank measured in " + p.from,
                  p.cluster.ranks_per_host, p.cluster.ranks_per_host == 1 ? "" : "s",
                  p.cluster.inside.latency_us, p.cluster.inside.gb_per_s,
                  p.cluster.between.latency_us, p.cluster.between.gb_per_s, p.spread_percent)
          .c_str());
  return 0;
}

}  // namespace

int execute(const ScaleTask& task, SignalInbox& inbox) {
  if (task.predict) return tell_prediction(task);
  return Measurement(task, inbox).run();
}

}  // namespace resnext
