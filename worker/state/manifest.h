// manifest.json and validation.json: text that knows its own checksum.
//
// The text is JSON in one layout, with "crc32c" of the rest as its last entry; another layout, bit
// or length is damage. Pure. The readers throw CheckpointError naming `path`.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "comm/common/file_system.h"
#include "worker/state/checkpoint_folder.h"

namespace resnext {

std::string to_text(const Manifest& manifest);
Manifest to_manifest(const std::string& text, const std::string& path);

// What the weights in a save's file were trained with; nothing where the file lies elsewhere or the
// manifest beside it cannot be read.
std::optional<DataRecord> data_of_weights(FileSystem& files, const std::filesystem::path& weights);

std::string to_text(const Accuracy& accuracy);
Accuracy to_accuracy(const std::string& text, const std::string& path);

}  // namespace resnext
