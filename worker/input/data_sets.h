// The containers that a run reads, opened and checked against the configuration and each other.
//
// A label means the name of its class. Where two sets name their classes, those of the second are
// found by name among those of the first, in whatever order they are, and refused where they are
// others. Where one does not, labels are numbers, which is said.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "data/augment/recipe.h"
#include "data/container/container.h"
#include "data/loader/data_loader.h"
#include "worker/input/data_record.h"

namespace resnext {

// Opens a split: reads its files, or makes it where it is synthetic.
Container open_split(const DataOptions& options, bool training);

struct DataSets {
  std::optional<Container> train;
  std::optional<Container> validation;
  std::vector<std::string> remarks;  // what a user should know of the classes, a line each

  // Local; opens read-only. Throws ConfigError (a file that is needed is not named, or a network is
  // to be judged by random images) or DataError. `training` false opens the validation split alone.
  // The validation split takes over the classes of the training split.
  DataSets(const DataOptions& options, bool training);

  // Gives the validation split the classes `names` of `owner`, a file or the like. `accept`: what
  // cannot be matched keeps its numbers, with a remark. Throws DataError.
  void adopt_classes(const ClassNames& names, const std::string& owner, bool accept);

  // The split that says the number of classes, mean and standard deviation.
  const Container& reference() const { return train ? *train : *validation; }
  // `configured`, or from the data when that is 0. Throws DataError when labels do not fit.
  int64_t classes(int64_t configured) const;
};

// What data.class_weights gives the images of each of `classes`: images / (classes * images of the
// class), counting the classes that have any in training (others get 0), so that the mean over the
// training images is 1: scikit-learn's "balanced" (sklearn.utils.class_weight). Empty: all count
// alike. Local.
std::vector<double> class_weights(const DataSets& sets, const DataOptions& options,
                                  int64_t classes);

// The remarks as warnings, on rank 0.
void log_remarks(const DataSets& sets, int rank);

// What `sets` hold, for a network of `classes`. Local; costs a pass over the labels.
DataRecord describe(const DataSets& sets, const DataOptions& options, int64_t classes);

// What happens to each image; in training what is cut out of it or lies around it becomes `mean`.
Recipe make_recipe(const DataOptions& data, bool training,
                   const std::array<double, 3>& mean = {0, 0, 0});

// A loader over one split for this rank, `host` of its host. `batch` is resolved for the world
// size; `allocate` and `observer` as in LoaderOptions.
std::unique_ptr<DataLoader> make_loader(const Container& container, const RunConfig& config,
                                        const BatchOptions& batch, int rank, int world_size,
                                        bool training, HostAllocator allocate = {},
                                        HostShare host = {}, LoaderObserver observer = {});

}  // namespace resnext
