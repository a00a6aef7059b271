// Networks that the seed saved with Torch7 (facebookresearch/ResNeXt and facebook/fb.resnet.torch,
// models/resnext.lua), as torchvision's tensors.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/weights/state_dict.h"
#include "model/weights/weights_input.h"

namespace resnext {

// Does the file begin like one of Torch7's (binary)?
bool is_t7(const WeightsInput& input);

// The weights under our names. The network is an nn.Sequential of a convolution, its normalisation,
// one nn.Sequential of blocks a stage, and an nn.Linear; a block holds an nn.ConcatTable of the
// transformation (form C, or form B with an nn.ConcatTable of paths) and the shortcut. Modules of
// nn, cudnn and cunn are told by their class's last part; those without weights do not matter. A
// DataParallelTable or a table around the network is opened. Weights of convolutions are taken as
// [out, in / groups, k, k] whatever their shape in the file. There are no counters of batches.
// Throws CheckpointError. Local; memory and work are bounded by the file's size.
StateDict read_t7(const WeightsInput& input);

}  // namespace resnext
