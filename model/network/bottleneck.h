// The residual block of ResNeXt in its three forms, with its shortcut.
//
// Xie et al. 2017 (arXiv 1611.05431), figure 3; arithmetic as fb.resnet.torch models/resnext.lua:
// 1x1 to the inner width, 3x3 with the stride, 1x1 to four times the planes, BN after each
// convolution and ReLU after each BN, the last after the addition.
// Form C: one grouped 3x3. Form B: `cardinality` separate paths of 1x1 and 3x3, concatenated.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <vector>

#include "model/network/layers.h"
#include "model/network/model_defaults.h"
#include "model/model_options.h"

namespace resnext {

struct BottleneckShape {
  int64_t in = 0;      // channels that come in
  int64_t planes = 0;  // of the stage; the block puts out 4 * planes
  int64_t stride = 1;  // of the 3x3 and the shortcut
  int64_t out() const { return kExpansion * planes; }
};

// Width of one path: floor(planes * base_width / 64), times 1 for block `resnet`.
int64_t path_width(const ModelOptions& options, int64_t planes);

class Bottleneck {
 public:
  Bottleneck(const ModelOptions& options, BottleneckShape shape, const at::Generator& generator);

  // [N, in, H, W] -> [N, 4 * planes, ceil(H / stride), ceil(W / stride)]
  at::Tensor operator()(const at::Tensor& x, Mode mode) const;
  // torchvision's names under `name`; form B has paths.<j>.{conv1,bn1,conv2,bn2} instead of
  // {conv1,bn1,conv2,bn2}.
  void visit(const std::string& name, const TensorVisitor& visitor);

 private:
  // A 1x1 and a 3x3 convolution, each with BN and ReLU: the whole inner width, or one path of it.
  struct Path {
    Convolution conv1;
    BatchNorm bn1;
    Convolution conv2;
    BatchNorm bn2;
    at::Tensor operator()(const at::Tensor& x, Mode mode) const;
    void visit(const std::string& name, const TensorVisitor& visitor);
  };
  struct Projection {
    Convolution conv;
    BatchNorm bn;
  };

  at::Tensor transform(const at::Tensor& x, Mode mode) const;
  at::Tensor shortcut(const at::Tensor& x, Mode mode) const;

  BottleneckShape shape_;
  std::vector<Path> paths_;  // one, but in form B
  Convolution conv3_;
  BatchNorm bn3_;
  std::optional<Projection> projection_;
};

}  // namespace resnext
