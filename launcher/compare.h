// `compare A B`: what differs between two run configurations, key by key, and what that means.
//
// Local; reads the two files alone.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launcher/command_line.h"
#include "launcher/text_table.h"

namespace resnext {

// Heading and a row for each key with two values; run.name and run.output are left out.
std::vector<Row> differing_keys(const RunConfig& first, const RunConfig& second);

// What follows from one configuration: a name and a value each, in a fixed order, so that two of
// them are two columns. Rates are those at the begin of an epoch, numbered from 1; `epochs` says of
// which.
std::vector<Row> effects(const RunConfig& config, const CompareTask& task,
                         const std::vector<int64_t>& epochs);

// Share of the network's weights that weight decay is for, 0..1.
double decaying_share(const RunConfig& config);

// Prints both tables. 0. Throws ConfigError.
int execute(const CompareTask& task);

}  // namespace resnext
