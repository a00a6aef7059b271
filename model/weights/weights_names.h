// Names of tensors in files of others, and ours: torchvision's (models/resnet.py).
// Local; pure. Throws CheckpointError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/weights/state_dict.h"

namespace resnext {

// The tensors of `state` under our names; `source` names the file in errors (two tensors would have
// one name). In this order:
// - counters that are no weights go (AveragedModel's n_averaged, torch/optim/swa_utils.py);
// - wrappers inside names go (_orig_mod of torch.compile, _fsdp_wrapped_module,
//   _checkpoint_wrapped_module), and what all names begin with ("module.", "model.", "backbone.",
//   repeated or not); of words that are no known wrappers a layer and its tensor must be left;
// - the names of prlz77/ResNeXt.pytorch's CIFAR networks (models/model.py) and of those with a
//   "layer0" and "last_linear" (Cadene's, timm's older senet.py) become ours. timm's resnet.py has
//   torchvision's.
StateDict with_our_names(StateDict state, const std::string& source);

// Text of a file, for a message: at most 80 printable characters.
std::string readable(std::string_view text);

// "a, b and 7 more": the first eight.
std::string listed_names(const std::vector<std::string>& names);

}  // namespace resnext
