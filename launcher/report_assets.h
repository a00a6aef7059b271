// Texts that are built into the program for the report page (see ReportAssets.cmake).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace resnext {

extern const std::string_view kReportStyle;   // launcher/page/report.css
extern const std::string_view kReportBody;    // launcher/page/report.html
extern const std::string_view kReportScript;  // launcher/page/report.js
extern const std::string_view kChartScript;   // Chart.js
extern const std::string_view kChartLicence;

}  // namespace resnext
