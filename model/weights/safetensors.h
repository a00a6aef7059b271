// The safetensors format, read and written.
//
// A file is a little-endian uint64 N, N bytes of JSON and the tensors' bytes. The JSON object maps
// each name to {"dtype", "shape", "data_offsets": [begin, end]}, offsets within the tensors' bytes,
// and "__metadata__" to texts (https://huggingface.co/docs/safetensors, "Format"). Strict, as the
// format wants it: N at most 100,000,000, no name twice, sizes that fit shapes, and tensors that
// follow each other without gaps or overlaps to the file's end.
// Local; not thread-safe on the same path.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "model/weights/state_dict.h"
#include "model/weights/weights_input.h"

namespace resnext {

// Does the file begin like one?
bool is_safetensors(const WeightsInput& input);

// Contiguous CPU tensors in the order of their bytes; names as they are. With `key` only those
// whose names begin with "KEY.". Throws CheckpointError, also for dtypes that weights files of ours
// do not hold. Memory is bounded by the file's size.
StateDict read_safetensors(const WeightsInput& input, const std::string& key);

// The bytes of a file: tensors contiguous, those of larger elements first, so that each is aligned.
// Throws OutputError (`name` stands for the file); what `sink` throws comes out of this.
void write_safetensors(const StateDict& state, const std::string& name,
                       const std::function<void(std::span<const std::byte>)>& sink);

}  // namespace resnext
