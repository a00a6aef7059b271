// A weights file opened for reading: what its pickle says, and the bytes of each storage.
//
// Two formats of torch.save() (torch/serialization.py): the zip container (default since 1.6), with
// records "data.pkl" and "data/KEY"; and the older stream of pickles (magic number, protocol
// version, system info, object, storage keys) followed by each storage as int64 numel + bytes.
// Local; one thread at a time. Throws CheckpointError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/weights/pickle_reader.h"
#include "model/weights/weights_input.h"

namespace resnext {

class StateDictSource : public StorageSource {
 public:
  // The saved object; lives as long as the source.
  virtual const PickleValue& root() const = 0;
};

std::unique_ptr<StateDictSource> open_state_dict(WeightsInput input);

}  // namespace resnext
