// Columns of text for the terminal, the same rows as CSV, and durations.
//
// Pure functions, but for terminal_width(); the first row is the heading.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace resnext {

using Row = std::vector<std::string>;

// The first column to the left, the others to the right, as figures want it.
std::string to_columns(const std::vector<Row>& rows);

// The same, no line longer than `width` characters: long names of the first column lose their
// middle, and columns that do not fit are left out from the right, which a last line says.
std::string to_columns(std::vector<Row> rows, size_t width);

// Of the terminal that the standard output is, or COLUMNS; no limit where there is neither.
size_t terminal_width();

// RFC 4180: quoted where needed.
std::string to_csv(const std::vector<Row>& rows);

}  // namespace resnext
