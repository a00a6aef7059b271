// Charts, drawn by gnuplot as PNG.
//
// Local. draw_plots() throws ConfigError when gnuplot is missing and OutputError when it fails.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace resnext {

enum class Mark { kLine, kLinePoints, kPoints };

struct Series {
  std::string label;
  std::vector<std::pair<double, double>> points;  // x, y; finite
  Mark mark = Mark::kLine;
};

// Lines and points over x, or, with `groups`, one stacked bar a group: then each series is a part
// of the bars, and its points are (number of the group, height).
struct Plot {
  std::string name;  // of the files, without ending
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  std::vector<std::string> groups;
  bool log2_x = false;
  bool from_zero = false;  // y
};

// The gnuplot commands of one chart into `output` ; pure.
std::string gnuplot_script(const Plot& plot, const std::filesystem::path& output);

// FOLDER/NAME.png of each.
void draw_plots(const std::vector<Plot>& plots, const std::filesystem::path& folder);

}  // namespace resnext
