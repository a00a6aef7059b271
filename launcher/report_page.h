// The page of a report: one HTML file with its data, its script and Chart.js, without links.
//
// The script and the style are launcher/page/; Chart.js is taken from the distribution's package
// when the program is built, and its licence stands at the end of the page. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace resnext {

// `data`: JSON (report_data.h).
std::string make_page(const std::string& data);

}  // namespace resnext
