// SPDX-License-Identifier: BSD-3-Clause
#include "model/export/network_export.h"

#include <algorithm>
#include <filesystem>

#include "comm/common/error.h"
#include "model/export/onnx.h"
#include "model/export/t7_network_writer.h"
#include "model/weights/atomic_file.h"
#include "model/weights/weights_export.h"

namespace resnext {
namespace {

struct Format {
  std::string_view ending;
  void (*write)(const NetworkExport& network, const ByteSink& sink);
};
constexpr Format kFormats[] = {{".t7", write_t7}, {".onnx", write_onnx}};

// Null where it is a format of weights alone.
const Format* format_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  const auto found = std::ranges::find(kFormats, ending, &Format::ending);
  if (found != std::end(kFormats)) return found;
  if (is_weights_name(path)) return nullptr;
  std::string known = weights_endings();
  for (const Format& format : kFormats) known.append(", ") += format.ending;
  throw ConfigError(path, "its ending '" + ending + "' names no format that can be written",
                    "use one of " + known);
}

}  // namespace

void check_export(const std::string& path, const ModelOptions& model, bool fold_norm) {
  const Format* format = format_of(path);
  const bool onnx = format != nullptr && format->write == write_onnx;
  if (fold_norm && !onnx) {
    throw ConfigError(path, "normalisation is folded in .onnx files only",
                      "leave --fold-norm out, or write an .onnx file");
  }
  if (format != nullptr && format->write == write_t7 && model.se_reduction > 0) {
    throw ConfigError(path, "the seed's networks have no squeeze-and-excitation",
                      "write an .onnx, .safetensors or .pt file");
  }
}

void export_network(const NetworkExport& network, const std::string& path) {
  check_export(path, network.model, network.fold_norm);
  const Format* format = format_of(path);
  if (format == nullptr) return export_weights(network.state, path);
  AtomicFile file(path);
  format->write(network, [&file](std::span<const std::byte> bytes) {
    file.write(bytes.data(), bytes.size());
  });
  file.commit();
}

}  // namespace resnext
