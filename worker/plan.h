// What --plan works with where there is no data set, and the schedule that it prints.
//
// Local; pure but for a look whether a file is there.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "worker/record/run_shape.h"

namespace resnext {

struct ImageCounts {
  int64_t train = 0;
  int64_t validation = 0;
  int64_t classes = 0;
  std::string origin;  // whose counts these are, for people; empty: of the data sets
};

// `said` on the command line (training, then validation), or ImageNet-1K's or CIFAR-10's, after
// the network's family, where data.train is not there. Nothing where it is.
std::optional<ImageCounts> counts_without_data(const RunConfig& config,
                                               const std::vector<int64_t>& said);

// The learning rate at the begins of some ten epochs, and of the last step: every epoch where it
// changes, or where those are more, the first and last of them, the end of the warm-up and evenly
// some between. A line each, with a headline.
std::string schedule_table(const RunConfig& config, const RunShape& shape);

}  // namespace resnext
