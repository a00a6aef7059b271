// What labels mean: the names of classes, where they come from, how those of two sets match.
//
// Label i of a list of names is its i-th name. A name is not empty and stands in a list once.
// Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace resnext {

using ClassNames = std::vector<std::string>;

// Throws DataError at `where` when a name is empty, or stands there twice.
void check_class_names(const ClassNames& names, const std::string& where);

// The names of a container, or of a text file with one name a line; in their order. Throws
// DataError.
ClassNames read_class_list(const std::string& path);

// The place of each of `names` in `all`; -1 where it is not.
std::vector<int64_t> places_of(const ClassNames& names, const ClassNames& all);

// Those of `names` that are not among `others`, in their order.
ClassNames missing_from(const ClassNames& others, const ClassNames& names);

// The whole number that a name is; nothing when it is another.
std::optional<int64_t> number_of(const std::string& name);

// Whether all names are whole numbers: they then have two orders.
bool are_numbers(const ClassNames& names);

// 0, 1, 2, 10; in order of name it is 0, 1, 10, 2.
void sort_by_number(ClassNames& numbers);

// "a, b, c and 7 more"; "none".
std::string name_some(const ClassNames& names);

}  // namespace resnext
