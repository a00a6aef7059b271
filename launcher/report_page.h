// The page of a report: text and charts in one HTML file without scripts or links.
//
// Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launcher/plots.h"
#include "launcher/text_table.h"

namespace resnext {

// `summary` becomes a table; each chart's FOLDER/NAME.svg is taken into the page.
std::string make_page(const std::vector<Row>& summary, const std::vector<Plot>& plots,
                      const std::filesystem::path& folder);

// `text` as HTML shows it literally.
std::string escape_html(const std::string& text);

}  // namespace resnext
