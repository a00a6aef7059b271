// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/weights_export.h"

#include <algorithm>
#include <filesystem>

#include "model/weights/atomic_file.h"
#include "model/weights/block_forms.h"
#include "model/weights/byte_sink.h"
#include "model/weights/safetensors.h"

namespace resnext {
namespace {

struct Format {
  std::string_view ending;
  void (*write)(const StateDict& state, const std::string& name, const ByteSink& sink);
};
constexpr Format kFormats[] = {
    {".pt", write_state_dict}, {".pth", write_state_dict}, {".safetensors", write_safetensors}};

const Format* format_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  const auto found = std::ranges::find(kFormats, ending, &Format::ending);
  return found == std::end(kFormats) ? nullptr : found;
}

}  // namespace

bool is_weights_name(const std::string& path) {
  return format_of(path) != nullptr;
}

std::string weights_endings() {
  std::string known;
  for (const Format& format : kFormats) known.append(known.empty() ? "" : ", ") += format.ending;
  return known;
}

void export_weights(const StateDict& state, const std::string& path) {
  const Format& format = *format_of(path);
  StateDict contiguous = in_form_c(state);
  for (auto& [name, tensor] : contiguous) tensor = tensor.detach().cpu().contiguous();
  AtomicFile file(path);
  format.write(contiguous, path, [&file](std::span<const std::byte> bytes) {
    file.write(bytes.data(), bytes.size());
  });
  file.commit();
}

}  // namespace resnext
