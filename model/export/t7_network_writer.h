// A network as the seed saves its own (facebookresearch/ResNeXt and facebook/fb.resnet.torch,
// models/resnext.lua), with Torch7.
//
// An nn.Sequential of the stem, one nn.Sequential of blocks a stage, pooling over the whole map of
// images of NetworkExport::image_size, nn.View and nn.Linear; blocks in the form that the network
// has, B or C. Modules are nn's, but a convolution with groups, which nn does not have, is cudnn's.
// Tensors are float32; those of gradients are left out, as the network is
// to be used and not trained on, and so are PyTorch's counters of batches.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/export/network_export.h"
#include "model/weights/byte_sink.h"

namespace resnext {

// The file's bytes. Without squeeze-and-excitation. What `sink` throws comes out of this.
void write_t7(const NetworkExport& network, const ByteSink& sink);

}  // namespace resnext
