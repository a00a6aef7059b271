// The containers that a run reads, opened and checked against the configuration.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "configs/run_config.h"
#include "data/container.h"
#include "data/data_loader.h"
#include "data/recipe.h"
#include "worker/input/data_record.h"

namespace resnext {

struct DataSets {
  std::optional<Container> train;
  std::optional<Container> validation;

  // Local; opens read-only. Throws ConfigError (a file that is needed is not named) or DataError.
  // `training` false opens the validation split alone.
  DataSets(const DataOptions& options, bool training);

  // The split that says the number of classes, mean and standard deviation.
  const Container& reference() const { return train ? *train : *validation; }
  // `configured`, or from the data when that is 0. Throws DataError when labels do not fit.
  int64_t classes(int64_t configured) const;
};

// What `sets` hold, for a network of `classes`. Local; costs a pass over the labels.
DataRecord describe(const DataSets& sets, const DataOptions& options, int64_t classes);

// What happens to each image; in training what is cut out of it or lies around it becomes `mean`.
Recipe make_recipe(const DataOptions& data, bool training,
                   const std::array<double, 3>& mean = {0, 0, 0});

// A loader over one split for this rank. `batch` is resolved for the world size; `allocate` as in
// LoaderOptions.
std::unique_ptr<DataLoader> make_loader(const Container& container, const RunConfig& config,
                                        const BatchOptions& batch, int rank, int world_size,
                                        bool training, HostAllocator allocate = {});

}  // namespace resnext
