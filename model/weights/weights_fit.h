// Puts a file's weights into a network.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "model/weights/state_dict.h"

namespace resnext {

// Copies the values of `file` into the tensors of `model`, which are handles of a network
// (ResNeXt::state_dict()), converting dtype; weights of form C go into a network of form B and the
// other way round (model/weights/block_forms.h). All or nothing: throws CheckpointError that lists
// what is missing, of another shape or unknown to the model, with what to do; `source` names the
// file. Counters of batches may be missing (files older than PyTorch 0.4.1). With
// `reset_classifier` the model keeps its own fc.*, and the file's classifier, whatever its name
// (all that is no stem and no stage), is left out. Local.
void copy_weights(const StateDict& model, const StateDict& file, const std::string& source,
                  bool reset_classifier = false);

}  // namespace resnext
