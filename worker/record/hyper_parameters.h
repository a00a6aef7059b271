// The settings by which runs are compared: those of the network, the data's recipe, the batch, the
// optimizer and its schedule, and what follows from them. Pure; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "configs/run_config.h"
#include "worker/record/run_shape.h"

namespace resnext {

using HyperParameter = std::pair<std::string, std::variant<double, bool, std::string>>;

// By the configuration's own keys, without paths, names and how a run is carried out; then
// world_size, global_batch, effective_lr and parameters.
std::vector<HyperParameter> hyper_parameters(const RunConfig& config, const RunShape& shape);

}  // namespace resnext
