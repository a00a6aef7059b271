// Weights files: a PyTorch state_dict (name -> tensor), read and written without Python.
//
// Reads what torch.save() writes: the zip format (since PyTorch 1.6) and the older one that
// torchvision's first weights have, with pickle protocols 2 to 5. Reading never runs code: objects
// that are no tensors, containers or numbers are passed over (model/weights/pickle_reader.h), and
// memory and work are bounded by the file's size. A safetensors file is recognised by its content.
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

// The weights of a file as people have it: alone or in a training checkpoint, under the names of
// DataParallel, torch.compile, AveragedModel and others; they come out under torchvision's names
// where they are known (model/weights/weights_names.h). Where the file holds several sets of
// weights `key` chooses (model/weights/weights_choice.h; in a safetensors file: what its names
// begin with). Throws CheckpointError (file, what, remedy): missing, truncated, corrupt, no
// weights, several sets.
StateDict load_state_dict(const std::string& path, const std::string& key = {});

// A file that save_state_dict() wrote and that is in memory, names as they are; `name` stands for
// it in errors.
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
