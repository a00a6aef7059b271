// What a network sees in images that lie in files: the likeliest classes with their probabilities.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.h"
#include "worker/inference/saved_network.h"

namespace resnext {

// The images that `arguments` name, as they are, and in order of path those in the folders among
// them (names of images that begin with no dot); rank 0 says what was left out. Throws ConfigError
// for what is not there.
std::vector<std::string> image_files(const std::vector<std::string>& arguments, int rank);

struct Classified {
  std::vector<int64_t> classes;       // the likeliest five or all, first the likeliest
  std::vector<double> probabilities;  // softmax
  bool damaged = false;  // it could not be read: told in the log of the rank that tried
};

// COLLECTIVE. Each rank classifies a share; all ranks get all, in order. Images are cropped as in
// validation.
std::vector<Classified> classify(const SavedNetwork& network, const std::vector<std::string>& files,
                                 Communicator& communicator);

// "cat.jpg: tabby 0.812, tiger cat 0.104, ..."; or JSON with "file" and "classes". With a line's
// end.
std::string to_line(const std::string& file, const Classified& found,
                    const std::vector<std::string>& class_names, bool json);

}  // namespace resnext
