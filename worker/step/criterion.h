// The loss of a batch: cross entropy, or binary cross entropy of each class by itself.
//
// logits [n, classes]; labels int64 [n], or probabilities [n, classes] of a floating-point type.
// Label smoothing s makes (1 - s) * target + s / classes of the targets (Szegedy et al. 2016, arXiv
// 1512.00567). Mean over the images; of bce over images and classes, as timm's BinaryCrossEntropy,
// with which "ResNet strikes back" (arXiv 2110.00476) trains: bce_threshold is its
// target_threshold, applied after smoothing and mixing. With class weights (cross entropy of labels
// alone) each image's loss counts as often as its class says, and the mean is still that over
// images; the step divides it by the mean weight of the global batch, which makes it that of
// torch.nn.CrossEntropyLoss(weight=...). Pure; local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include "configs/run_config.h"

namespace resnext {

at::Tensor loss_of(const OptimizerOptions& options, const at::Tensor& logits,
                   const at::Tensor& labels, const at::Tensor& class_weights = {});

}  // namespace resnext
