// A trained network for other programs, in the format that the file's ending names.
//
// .pt, .pth, .safetensors: its weights (model/weights/weights_export.h). .t7: the network of Torch7
// (t7_network_writer.h). .onnx: the network of ONNX (onnx.h).
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/model_options.h"
#include "model/weights/state_dict.h"

namespace resnext {

struct NetworkExport {
  ModelOptions model;      // of known classes
  StateDict state;         // under the plan's names; CPU
  int64_t image_size = 0;  // side of the images that the network is for, pixels
  bool fold_norm = false;  // onnx: BN becomes part of the convolution before it
  // onnx: what else a user of the network wants to know, by name.
  std::vector<std::pair<std::string, std::string>> notes = {};
};

// Throws ConfigError when the ending of `path` is none of those above (and lists them), when its
// format does not have what `model` has, or where `fold_norm` is asked of a format without.
void check_export(const std::string& path, const ModelOptions& model, bool fold_norm);

// `path` is old or new, never half. Local. Throws as check_export(), and OutputError.
void export_network(const NetworkExport& network, const std::string& path);

}  // namespace resnext
