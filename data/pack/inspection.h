// Checks every sample of a container, and describes a container in words.
//
// Throws DataError when the container cannot be opened, or describe_container() meets a bad sample.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace resnext {

struct Verification {
  int64_t count = 0;
  int64_t bad = 0;
  std::vector<std::string> first_bad;  // what is wrong with the first of them
};

// Reads every sample, compares its checksum and decodes it.
Verification verify_container(const std::string& path, int64_t threads,
                              const std::function<void(int64_t done, int64_t total)>& progress);

// Several lines: count, storage, image sizes, classes and their sizes, mean and std, how it is
// read.
std::string describe_container(const std::string& path);

}  // namespace resnext
