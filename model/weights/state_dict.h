// Weights files: a PyTorch state_dict (name -> tensor), read and written without Python.
//
// Reads what torch.save() writes: the zip format (since PyTorch 1.6) and the older one that
// torchvision's first weights have; a nested {"state_dict": ...} or {"model": ...} is unwrapped and
// a "module." prefix (DataParallel) removed. Only tensors, containers and numbers are understood:
// a file that asks for any other object is refused, so reading never runs code.
// Writes the zip format such that torch.load(path, weights_only=True) gives a dict of tensors.
// Local; not thread-safe on the same path.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace resnext {

// In the order of the file. CPU tensors; each owns (or shares with its neighbours) its storage.
using StateDict = std::vector<std::pair<std::string, at::Tensor>>;

// Throws CheckpointError (file, what, remedy): missing, truncated, corrupt, foreign objects.
StateDict load_state_dict(const std::string& path);

// The same of a file that is in memory; `name` stands for it in errors.
StateDict parse_state_dict(std::string bytes, const std::string& name);

// Writes to a temporary name beside `path`, fsyncs and renames: `path` is old or new, never half.
// Tensors keep dtype, shape and strides (channels-last too) and may be on any device.
// Throws OutputError (path, errno, remedy).
void save_state_dict(const StateDict& state, const std::string& path);

// The file's bytes from its begin to its end, in pieces; `name` stands for it in errors. What
// `sink` throws comes out of this.
void write_state_dict(const StateDict& state, const std::string& name,
                      const std::function<void(std::span<const std::byte>)>& sink);

}  // namespace resnext
