// What the user may have meant by a key that does not exist.
//
// Pure functions of the table in run_keys.h; throw nothing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace resnext {

// A remedy for the unknown dotted key `name`: the section it belongs to, the nearest known key, or
// else the keys that there are.
std::string suggest_key(std::string_view name);

// "base_lr, base_batch, ..."; for "" the names of the sections.
std::string keys_of_section(std::string_view section);

}  // namespace resnext
