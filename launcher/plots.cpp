// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/plots.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "comm/common/error.h"
#include "launcher/child_process.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

// A gnuplot string: single quotes, in which only the quote itself is special.
std::string quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\n') continue;
    quoted += c == '\'' ? std::string("''") : std::string(1, c);
  }
  return quoted + "'";
}

constexpr const char* kTerminal =
    "set terminal pngcairo size 1140,660 font 'sans-serif,13' noenhanced\n";

std::string data_block(const Series& series, size_t number) {
  std::string block = fmt::format("$data{} << EOD\n", number);
  for (const auto& [x, y] : series.points) {
    if (std::isfinite(x) && std::isfinite(y)) block += fmt::format("{} {}\n", x, y);
  }
  return block + "EOD\n";
}

std::string style(Mark mark) {
  if (mark == Mark::kPoints) return "points pt 7 ps 1.2";
  return mark == Mark::kLine ? "lines lw 1.6" : "linespoints lw 1.6 pt 7 ps 0.7";
}

std::string curves(const Plot& plot) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    parts.push_back(fmt::format("$data{} using 1:2 with {} title {}", i, style(plot.series[i].mark),
                                quote(plot.series[i].label)));
  }
  return fmt::format("plot {}\n", fmt::join(parts, ", "));
}

std::string bars(const Plot& plot) {
  std::vector<std::string> tics;
  for (size_t i = 0; i < plot.groups.size(); ++i) {
    tics.push_back(fmt::format("{} {}", quote(plot.groups[i]), i));
  }
  std::vector<std::string> parts;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    parts.push_back(fmt::format("$data{} using 2 title {}", i, quote(plot.series[i].label)));
  }
  return fmt::format(
      "set style data histograms\nset style histogram rowstacked\nset boxwidth 0.6\n"
      "set style fill solid 0.85\nset xtics ({})\nplot {}\n",
      fmt::join(tics, ", "), fmt::join(parts, ", "));
}

}  // namespace

std::string gnuplot_script(const Plot& plot, const fs::path& output) {
  std::string script = std::string("reset\n") + kTerminal;
  script += fmt::format("set output {}\nset title {}\nset xlabel {}\nset ylabel {}\n",
                        quote(output.string()), quote(plot.title), quote(plot.x_label),
                        quote(plot.y_label));
  script +=
      "set grid lc rgb '#dddddd'\nset key outside right top\nset border 3\nset tics nomirror\n";
  script += plot.from_zero ? "set yrange [0:*]\nset offsets 0, 0, graph 0.05, 0\n"
                           : "set offsets 0, 0, graph 0.05, graph 0.05\n";
  if (plot.x_label == "step") script += "set xrange [0:*]\n";
  if (plot.log2_x) script += "set logscale x 2\nset offsets graph 0.05, graph 0.05, 0, 0\n";
  for (size_t i = 0; i < plot.series.size(); ++i) script += data_block(plot.series[i], i);
  return script + (plot.groups.empty() ? curves(plot) : bars(plot));
}

void draw_plots(const std::vector<Plot>& plots, const fs::path& folder) {
  std::string script;
  for (const Plot& plot : plots) {
    script += gnuplot_script(plot, folder / (plot.name + ".png"));
  }
  const fs::path file = folder / "plots.gnuplot";
  write_file(file, script);
  const int code = run_to_end({{"gnuplot", file.string()}});
  if (code != 0) {
    throw OutputError(file.string(), fmt::format("gnuplot ended with {}", code),
                      "see its message above; free space or update gnuplot");
  }
  fs::remove(file);
}

}  // namespace resnext
