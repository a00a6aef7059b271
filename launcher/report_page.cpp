// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report_page.h"

#include <spdlog/fmt/fmt.h>

#include "launcher/text_file.h"

namespace resnext {
namespace {

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training report</title>
<style>
body { font: 15px/1.5 sans-serif; margin: 2rem auto; max-width: 1600px; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(560px, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #ddd; padding: .5rem; }
figure svg { width: 100%; height: auto; }
</style>
<h1>Training report</h1>
)";

std::string table(const std::vector<Row>& rows) {
  std::string html = "<div style=\"overflow-x: auto\"><table>\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    html += "<tr>";
    for (const std::string& cell : rows[i]) {
      html += fmt::format("<{0}>{1}</{0}>", i == 0 ? "th" : "td", escape_html(cell));
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

// The element itself, without the XML declaration before it.
std::string svg_element(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  const auto begin = text.find("<svg");
  return begin == text.npos ? "" : text.substr(begin);
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string make_page(const std::vector<Row>& summary, const std::vector<Plot>& plots,
                      const std::filesystem::path& folder) {
  std::string html = kHead + table(summary) + "<div class=\"charts\">\n";
  for (const Plot& plot : plots) {
    html += fmt::format("<figure id=\"{}\">\n{}</figure>\n", plot.name,
                        svg_element(folder / (plot.name + ".svg")));
  }
  return html + "</div>\n</html>\n";
}

}  // namespace resnext
