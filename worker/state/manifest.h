// manifest.json and validation.json: text that knows its own checksum.
//
// The text is JSON in one layout, with "crc32c" of the rest as its last entry; another layout, bit
// or length is damage. Pure. The readers throw CheckpointError naming `path`.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "worker/state/checkpoint_folder.h"

namespace resnext {

std::string to_text(const Manifest& manifest);
Manifest to_manifest(const std::string& text, const std::string& path);

std::string to_text(const Accuracy& accuracy);
Accuracy to_accuracy(const std::string& text, const std::string& path);

}  // namespace resnext
