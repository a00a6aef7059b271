// Which files count as images by their name; what they hold says the decoder (image_decoder.h).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace resnext {

// .jpg, .jpeg or .png, in capitals too.
bool has_image_name(const std::string& path);

}  // namespace resnext
