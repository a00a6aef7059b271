// Which files of a folder become the samples of a container, and with which labels.
//
// Files named .jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff count; their content says what they
// are. Whatever has a name that begins with a dot is left out, folders with all that is in them.
// Local. Throws DataError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/container/classes.h"

namespace resnext {

struct ImageListing {
  ClassNames class_names;
  std::vector<std::pair<std::string, int64_t>> files;  // path, label
  std::vector<std::string> remarks;  // what was left out and what may be meant otherwise, in words
};

// One folder for each class, with folders below it; files in order of label, then path. The classes
// are `classes`, each folder being one of them, or where that is empty the folders in order of
// name. A class without files stays.
ImageListing list_class_folders(const std::string& folder, const ClassNames& classes);

// One folder for all, with a text file that gives a line to each image: its path in the folder and
// its class, parted by a tab, else by a comma, else by a space. A class is a name of `classes`, or
// its place there, which counts from 0; where `classes` is empty, the names of the list in order,
// numbers in that of their value.
// Files in order of the list.
ImageListing list_labelled_files(const std::string& folder, const std::string& labels,
                                 const ClassNames& classes);

// The images in a folder and below it, in order of path; of no class.
ImageListing list_images(const std::string& folder);

}  // namespace resnext
