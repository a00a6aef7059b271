// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"

namespace resnext {
namespace {

std::string join(std::string_view where, std::string_view what, std::string_view remedy) {
  std::string line;
  if (!where.empty()) line.append(where).append(": ");
  line.append(what);
  if (!remedy.empty()) line.append("; ").append(remedy);
  return line;
}

// LibTorch and CUDA's libraries say so in their texts only. Host memory is another matter.
bool tells_of_full_gpu(std::string_view text) {
  for (const char* words : {"CUDA out of memory", "CUDA error: out of memory",
                            "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"}) {
    if (text.find(words) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Error::Error(ExitCode exit_code, std::string_view where, std::string_view what,
             std::string_view remedy)
    : std::runtime_error(join(where, what, remedy)), exit_code_(exit_code) {}

Error out_of_gpu_memory(std::string_view what) {
  return Error(ExitCode::kConfig, "GPU memory", what,
               "lower batch.per_rank and raise batch.accumulation as much, set "
               "model.recompute_stages or precision.compute=bf16, and look whether another process "
               "is on this GPU (nvidia-smi)");
}

Error to_error(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
  std::string_view text = exception.what();
  text = text.substr(0, text.find('\n'));  // LibTorch adds a stack below
  if (tells_of_full_gpu(text)) return out_of_gpu_memory(text);
  return Error(ExitCode::kInternal, "", text, "");
}

}  // namespace resnext
