// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <set>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/report_data.h"
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

Figure error_of(const std::string& top1) {
  return [top1](const Figures& figures) -> std::optional<double> {
    const auto found = get(figures, top1);
    if (!found) return std::nullopt;
    return 100 - *found;
  };
}

ReportRun read_run(const fs::path& folder, size_t points) {
  ReportRun run;
  run.folder = folder;
  run.metrics = read_metrics(folder, points);
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
    add_if_any(plot,
               over_steps(run.name, run.metrics.validation, error_of("top1"), Mark::kLinePoints));
    add_if_any(plot, over_steps(run.name + " EMA", run.metrics.validation, error_of("ema_top1"),
                                Mark::kLinePoints));
  }
  return plot;
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
                                         mean_phase(run.metrics, kPhases[i].first).value_or(0));
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

bool is_run(const fs::path& folder) {
  return fs::exists(folder / "metrics.jsonl") || fs::exists(folder / "config.yaml");
}

struct FoundRun {
  fs::path folder;
  int stopped_at = 0;
};

// A folder's own run or sweep, else those of the folders in it.
void find_runs(const fs::path& folder, int depth, std::vector<FoundRun>& found) {
  const std::vector<fs::path> trials = trial_folders(folder);
  if (!trials.empty()) {
    std::map<fs::path, int> stopped = stopped_trials(folder);
    for (const fs::path& trial : trials) found.push_back({trial, stopped[trial]});
  } else if (is_run(folder)) {
    found.push_back({folder, 0});
  } else if (depth > 0) {
    std::vector<fs::path> inner;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.is_directory(error) && !entry.is_symlink(error)) inner.push_back(entry.path());
    }
    std::ranges::sort(inner);
    for (const fs::path& path : inner) find_runs(path, depth - 1, found);
  }
}

// The last `parts` names of a path.
std::string end_of(const fs::path& path, size_t parts) {
  std::vector<std::string> names;
  for (const fs::path& name : path) names.push_back(name.string());
  const size_t skipped = names.size() - std::min(parts, names.size());
  return fmt::format("{}",
                     fmt::join(names.begin() + static_cast<ptrdiff_t>(skipped), names.end(), "/"));
}

// Each run that shares its name with another gets one folder more of its path.
void name_runs(std::vector<ReportRun>& runs) {
  constexpr size_t kDeepest = 64;
  for (size_t parts = 1; parts < kDeepest; ++parts) {
    std::map<std::string, std::vector<ReportRun*>> same;
    for (ReportRun& run : runs) {
      if (run.name.empty()) run.name = end_of(run.folder, 1);
      same[run.name].push_back(&run);
    }
    if (same.size() == runs.size()) return;
    for (auto& [name, those] : same) {
      if (those.size() == 1) continue;
      for (ReportRun* run : those) run->name = end_of(run->folder, parts + 1);
    }
  }
}

fs::path without_slash(const std::string& name) {
  const fs::path folder = fs::path(name).lexically_normal();
  return folder.has_filename() ? folder : folder.parent_path();
}

// The folder that all lie in; a lone one is that itself.
fs::path common_folder(const std::vector<std::string>& folders) {
  fs::path common = fs::absolute(without_slash(folders.front()));
  for (const std::string& name : folders) {
    const fs::path path = fs::absolute(without_slash(name));
    while (path.lexically_relative(common).string().starts_with(".."))
      common = common.parent_path();
  }
  return common;
}

std::string today() {
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(std::time(nullptr)));
}

// Number of runs, their versions, date.
std::string about(const std::vector<ReportRun>& runs) {
  std::set<std::string> versions;
  for (const ReportRun& run : runs) {
    for (const auto& [program, version] : run.metrics.versions) {
      versions.insert(program + " " + version);
    }
  }
  return fmt::format("{} run{}{}{} \u00b7 report of {} by resnext {}", runs.size(),
                     runs.size() == 1 ? "" : "s", versions.empty() ? "" : " \u00b7 made with ",
                     fmt::join(versions, ", "), today(), RESNEXT_VERSION);
}

std::string title_of(const ReportTask& task, const std::vector<ReportRun>& runs) {
  if (runs.size() == 1) return runs.front().name;
  return common_folder(task.folders).filename().string();
}

}  // namespace

std::vector<ReportRun> read_runs(const std::vector<std::string>& folders) {
  constexpr int kDepth = 4;
  std::vector<FoundRun> found;
  for (const std::string& name : folders) {
    if (!fs::is_directory(name)) {
      throw ConfigError(name, "is not a folder", "name run folders, such as runs/fashion_mnist");
    }
    const size_t before = found.size();
    find_runs(without_slash(name), kDepth, found);
    if (found.size() > before) continue;
    throw ConfigError(name, "holds no run", "name a folder with a metrics.jsonl below it");
  }
  const size_t points = points_of_a_run(found.size());
  std::vector<ReportRun> runs;
  for (const FoundRun& run : found) {
    runs.push_back(read_run(run.folder, points));
    runs.back().stopped_at = run.stopped_at;
  }
  name_runs(runs);
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

int execute(const ReportTask& task) {
  const std::vector<ReportRun> runs = read_runs(task.folders);
  const fs::path folder = task.output.empty() ? common_folder(task.folders) : fs::path(task.output);
  const fs::path page = folder / "report.html";
  write_file(page, make_page(report_data(runs, title_of(task, runs), about(runs))));
  spdlog::info("{}: {} run{}", page.string(), runs.size(), runs.size() == 1 ? "" : "s");
  if (!task.pictures) return 0;
  const std::vector<Plot> plots = make_plots(runs);
  if (!plots.empty()) draw_plots(plots, folder);
  spdlog::info("{} charts as PNG beside it", plots.size());
  return 0;
}

}  // namespace resnext
