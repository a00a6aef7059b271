// What data.shuffle does on a container: how mixed its batches are, and how fast it is read.
//
// Local. Throws DataError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/container/container.h"
#include "data/data_options.h"

namespace resnext {

// Classes that a batch of `batch` images holds on average where each set of so many images is as
// likely as any other: the sum over classes of 1 - C(N - n, batch) / C(N, batch), for a class of n
// of all N images. `batch` <= N.
double expected_classes(const std::vector<int64_t>& class_counts, int64_t batch);

// The same, counted over the full batches of the first epoch with run.seed 1.
double mean_classes(const Container& container, Shuffle shuffle, int64_t batch);

// Several lines: both of these, and the rates at which the disk gives the samples one after
// another, in the pieces that block reads ahead, and in the order of full. Reads up to 1 GiB a rate
// for at most three seconds, past what the system has in memory, as far as it lets go of it.
std::string describe_shuffle(const Container& container, int64_t batch);

}  // namespace resnext
