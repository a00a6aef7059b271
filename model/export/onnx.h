// A network as an ONNX model.
//
// Input "images" float32 [batch, 3, side, side], normalised as in training; output "logits" float32
// [batch, classes]; `batch` is free, `side` is NetworkExport::image_size. Operators of opset 13,
// file version (IR) 7: ONNX 1.8 and later. Initializers have our tensors' names, in float32; with
// fold_norm a convolution and the normalisation behind it are one Conv (folded in float64), with
// CONVOLUTION.weight and CONVOLUTION.bias. Field numbers: onnx/onnx.proto; operators:
// onnx.ai/onnx/operators.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/export/network_export.h"
#include "model/weights/byte_sink.h"

namespace resnext {

inline constexpr int64_t kOnnxOpset = 13;

// The file's bytes. Throws OutputError for a network of 2 GiB or more, which protobuf cannot hold;
// what `sink` throws comes out of this.
void write_onnx(const NetworkExport& network, const ByteSink& sink);

}  // namespace resnext
