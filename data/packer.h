// Makes containers from the forms in which image sets are published.
//
// Each function writes a complete file or none. Throws DataError when the source is missing or
// damaged, OutputError when the file cannot be written, ConfigError when options contradict.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnext {

// MNIST's format (yann.lecun.com/exdb/mnist), plain or gzip: `images` idx3-ubyte, `labels`
// idx1-ubyte. Grey is repeated in three channels; mean and std are those of the pixels. Without
// class names the classes are called 0, 1, ...
struct IdxSource {
  std::string images;
  std::string labels;
  std::vector<std::string> class_names;
};
void pack_idx(const IdxSource& source, const std::string& out);

}  // namespace resnext
