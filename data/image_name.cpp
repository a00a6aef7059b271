// SPDX-License-Identifier: BSD-3-Clause
#include "data/image_name.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace resnext {

bool has_image_name(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

}  // namespace resnext
