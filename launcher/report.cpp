// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <functional>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/report_page.h"
#include "launcher/sweep_folder.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

using Figure = std::function<std::optional<double>(const Figures&)>;

std::optional<double> get(const Figures& figures, const std::string& name) {
  const auto found = figures.find(name);
  if (found == figures.end()) return std::nullopt;
  return found->second;
}

Figure named(const std::string& name) {
  return [name](const Figures& figures) { return get(figures, name); };
}

std::optional<double> top1_error(const Figures& figures) {
  const auto top1 = get(figures, "top1");
  if (!top1) return std::nullopt;
  return 100 - *top1;
}

ReportRun read_run(const fs::path& folder) {
  ReportRun run;
  run.name = folder.filename().string();
  run.metrics = read_metrics(folder);
  for (const char* file : {"config.yaml", "trial.yaml"}) {
    if (run.config || !fs::exists(folder / file)) continue;
    try {
      run.config = read_run_config((folder / file).string(), {});
    } catch (const ConfigError& error) {
      spdlog::warn("{}", error.what());
    }
  }
  return run;
}

Series over_steps(const std::string& label, const std::map<int64_t, Figures>& events,
                  const Figure& figure, Mark mark) {
  Series series{label, {}, mark};
  for (const auto& [step, figures] : events) {
    if (const auto y = figure(figures)) series.points.emplace_back(static_cast<double>(step), *y);
  }
  return series;
}

void add_if_any(Plot& plot, Series series) {
  if (!series.points.empty()) plot.series.push_back(std::move(series));
}

Plot train_plot(const std::vector<ReportRun>& runs, const std::string& name,
                const std::string& title, const std::string& y_label, const std::string& figure) {
  Plot plot{name, title, "step", y_label, {}, {}};
  plot.from_zero = true;
  for (const ReportRun& run : runs) {
    add_if_any(plot, over_steps(run.name, run.metrics.train, named(figure), Mark::kLine));
  }
  return plot;
}

Plot loss_plot(const std::vector<ReportRun>& runs) {
  Plot plot{"loss", "Loss", "step", "cross-entropy", {}, {}};
  for (const ReportRun& run : runs) {
    add_if_any(plot, over_steps(run.name, run.metrics.train, named("loss"), Mark::kLine));
    add_if_any(plot, over_steps(run.name + " validation", run.metrics.validation, named("loss"),
                                Mark::kLinePoints));
  }
  return plot;
}

Plot error_plot(const std::vector<ReportRun>& runs) {
  Plot plot{"error", "Validation error", "step", "top-1 error, %", {}, {}};
  for (const ReportRun& run : runs) {
    add_if_any(plot, over_steps(run.name, run.metrics.validation, top1_error, Mark::kLinePoints));
  }
  return plot;
}

// Mean over the logged steps but the first, which also pays for the start.
double mean_phase(const RunMetrics& metrics, const std::string& phase) {
  double sum = 0;
  int64_t count = 0;
  for (auto it = metrics.train.begin(); it != metrics.train.end(); ++it) {
    if (it == metrics.train.begin() && metrics.train.size() > 1) continue;
    if (const auto ms = get(it->second, phase)) {
      sum += *ms;
      ++count;
    }
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

Plot phase_plot(const std::vector<ReportRun>& runs) {
  constexpr std::pair<const char*, const char*> kPhases[] = {
      {"data_wait_ms", "data"},
      {"forward_ms", "forward"},
      {"backward_ms", "backward"},
      {"exposed_comm_ms", "exposed communication"},
      {"optimizer_ms", "optimizer"}};
  Plot plot{"step_time", "Time of a step", "", "ms, mean", {}, {}};
  plot.from_zero = true;
  for (const auto& [key, label] : kPhases) plot.series.push_back({label, {}, Mark::kLine});
  for (const ReportRun& run : runs) {
    if (run.metrics.train.empty()) continue;
    for (size_t i = 0; i < plot.series.size(); ++i) {
      plot.series[i].points.emplace_back(static_cast<double>(plot.groups.size()),
                                         mean_phase(run.metrics, kPhases[i].first));
    }
    plot.groups.push_back(run.name);
  }
  if (plot.groups.empty()) plot.series.clear();
  return plot;
}

// The last validation's error of each run against something that its configuration says.
Plot comparison(const std::vector<ReportRun>& runs, Plot plot,
                const std::function<std::optional<double>(const ReportRun&)>& x) {
  for (const ReportRun& run : runs) {
    const auto top1 = run.metrics.final_figure("top1");
    const auto at = x(run);
    if (top1 && at) plot.series.push_back({run.name, {{*at, 100 - *top1}}, Mark::kPoints});
  }
  if (plot.series.size() < 2) plot.series.clear();
  return plot;
}

std::optional<double> cardinality_of(const ReportRun& run) {
  if (!run.config) return std::nullopt;
  return static_cast<double>(run.config->model.cardinality);
}

std::optional<double> parameters_of(const ReportRun& run) {
  return get(run.metrics.start, "parameters");
}

std::string number(const std::optional<double>& value, const char* format = "{:.4g}") {
  return value ? fmt::format(fmt::runtime(format), *value) : "";
}

std::string state_of(const RunMetrics& metrics) {
  if (metrics.finished()) return "finished";
  if (metrics.exit_code) return fmt::format("ended with {}", *metrics.exit_code);
  return metrics.train.empty() ? "no steps yet" : "unfinished";
}

}  // namespace

std::vector<ReportRun> read_runs(const std::vector<std::string>& folders) {
  std::vector<ReportRun> runs;
  for (const std::string& name : folders) {
    const fs::path folder = fs::path(name).lexically_normal();
    if (!fs::is_directory(folder)) {
      throw ConfigError(name, "is not a folder", "name run folders, such as runs/fashion_mnist");
    }
    const std::vector<fs::path> trials = trial_folders(folder);
    for (const fs::path& trial : trials) runs.push_back(read_run(trial));
    if (trials.empty()) {
      runs.push_back(read_run(folder.has_filename() ? folder : folder.parent_path()));
    }
  }
  return runs;
}

std::vector<Plot> make_plots(const std::vector<ReportRun>& runs) {
  std::vector<Plot> plots = {
      loss_plot(runs),
      error_plot(runs),
      train_plot(runs, "learning_rate", "Learning rate", "learning rate", "lr"),
      train_plot(runs, "images_per_second", "Throughput", "images/s, all ranks",
                 "images_per_second"),
      phase_plot(runs),
      comparison(runs,
                 {"cardinality",
                  "Error against cardinality",
                  "cardinality",
                  "top-1 error, %",
                  {},
                  {},
                  true},
                 cardinality_of),
      comparison(runs,
                 {"parameters",
                  "Error against parameters",
                  "parameters, millions",
                  "top-1 error, %",
                  {},
                  {}},
                 [](const ReportRun& run) -> std::optional<double> {
                   const auto parameters = parameters_of(run);
                   if (!parameters) return std::nullopt;
                   return *parameters / 1e6;
                 })};
  std::erase_if(plots, [](const Plot& plot) { return plot.series.empty(); });
  return plots;
}

std::vector<Row> make_summary(const std::vector<ReportRun>& runs) {
  std::vector<Row> rows = {{"run", "state", "step", "training loss", "top-1 error, %",
                            "top-5 error, %", "images/s", "ranks", "parameters", "GMAC"}};
  for (const ReportRun& run : runs) {
    const RunMetrics& m = run.metrics;
    const Figures last = m.train.empty() ? Figures{} : m.train.rbegin()->second;
    const auto error = [&](const char* name) {
      const auto accuracy = m.final_figure(name);
      return accuracy ? fmt::format("{:.2f}", 100 - *accuracy) : "";
    };
    rows.push_back({run.name, state_of(m), number(get(last, "step"), "{:.0f}"),
                    number(get(last, "loss")), error("top1"), error("top5"),
                    number(get(last, "images_per_second")),
                    number(get(m.start, "world_size"), "{:.0f}"),
                    number(parameters_of(run), "{:.0f}"), number(get(m.start, "gmac"))});
  }
  return rows;
}

int execute(const ReportTask& task) {
  const std::vector<ReportRun> runs = read_runs(task.folders);
  const fs::path folder = task.output.empty() ? task.folders.front() : task.output;
  const std::vector<Plot> plots = make_plots(runs);
  if (!plots.empty()) draw_plots(plots, folder);
  const fs::path page = folder / "report.html";
  write_file(page, make_page(make_summary(runs), plots, folder));
  for (const Plot& plot : plots) fs::remove(folder / (plot.name + ".svg"));  // now in the page
  spdlog::info("{} and {} charts as PNG beside it", page.string(), plots.size());
  return 0;
}

}  // namespace resnext
