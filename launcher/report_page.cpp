// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/report_page.h"

#include <string_view>

#include "launcher/report_assets.h"

namespace resnext {
namespace {

// Inside a script element only "<" could end it or begin a comment.
std::string escape_json(std::string_view json) {
  std::string text;
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

std::string escape_text(std::string_view text) {
  std::string html;
  for (const char c : text) {
    if (c == '&') {
      html += "&amp;";
    } else if (c == '<') {
      html += "&lt;";
    } else {
      html += c;
    }
  }
  return html;
}

std::string element(std::string_view opening, std::string_view content, std::string_view closing) {
  return std::string(opening) + std::string(content) + std::string(closing) + "\n";
}

}  // namespace

std::string make_page(const std::string& data) {
  return R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training report</title>
)" + element("<style>\n", kReportStyle, "</style>") +
         std::string(kReportBody) +
         element("<details><summary>Drawn with Chart.js; its licence</summary><pre>",
                 escape_text(kChartLicence), "</pre></details>") +
         element("<script type=\"application/json\" id=\"data\">", escape_json(data), "</script>") +
         element("<script>", kChartScript, "</script>") +
         element("<script>", kReportScript, "</script>") + "</html>\n";
}

}  // namespace resnext
