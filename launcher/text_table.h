// Columns of text for the terminal, and the same rows as CSV.
//
// Pure functions; the first row is the heading.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace resnext {

using Row = std::vector<std::string>;

// The first column to the left, the others to the right, as figures want it.
std::string to_columns(const std::vector<Row>& rows);

// RFC 4180: quoted where needed.
std::string to_csv(const std::vector<Row>& rows);

}  // namespace resnext
