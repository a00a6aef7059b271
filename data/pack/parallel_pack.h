// Packs the inputs of a source by several threads, in order (ordered_parallel.h), and goes on where
// it was interrupted (resumable_pack.h). Damaged inputs are told as they are met, and left out or
// an error once all have been looked at.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/container/container_writer.h"
#include "data/pack/packer.h"
#include "data/pack/resumable_pack.h"

namespace resnext {

// Inputs 0..count-1, as the source counts.
struct PackInputs {
  std::string source;  // its path
  std::string noun;    // what they are, in messages: "files"
  int64_t count = 0;
  std::function<std::string(int64_t)> name_of;
  std::function<int64_t(int64_t)> label_of;
  // The sample that an input becomes. Thread-safe; throws DamagedImage, or DataError that names the
  // input.
  std::function<std::vector<uint8_t>(int64_t)> sample_of;
  PackIdentity identity;  // of the source, and of options that are its own
  // Called behind the last input; throws where the source is not what it was.
  std::function<void()> check_source = [] {};
};

// `description.order` says how the inputs lie in the source. Throws what packers do (packer.h).
void pack_inputs(const PackInputs& inputs, ContainerDescription description,
                 const PackingOptions& options, const std::string& out,
                 const PackObserver& observer);

}  // namespace resnext
