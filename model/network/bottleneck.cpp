// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/bottleneck.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include "model/network/model_defaults.h"

namespace resnext {
namespace {

bool needs_projection(Shortcut kind, const BottleneckShape& shape) {
  return kind == Shortcut::kC || (kind == Shortcut::kB && shape.in != shape.out());
}

}  // namespace

int64_t path_width(const ModelOptions& options, int64_t planes) {
  return options.block == Block::kResnet ? planes : planes * options.base_width / kFullStemWidth;
}

at::Tensor Bottleneck::Path::operator()(const at::Tensor& x, Mode mode) const {
  return bn2.relu(conv2(bn1.relu(conv1(x), mode)), mode);
}

void Bottleneck::Path::visit(const std::string& name, const TensorVisitor& visitor) {
  conv1.visit(name + ".conv1", visitor);
  bn1.visit(name + ".bn1", visitor);
  conv2.visit(name + ".conv2", visitor);
  bn2.visit(name + ".bn2", visitor);
}

Bottleneck::Bottleneck(const ModelOptions& options, BottleneckShape shape,
                       const at::Generator& generator)
    : shape_(shape),
      conv3_(path_width(options, shape.planes) * block_groups(options), shape.out(), 1, 1, 1,
             generator),
      bn3_(shape.out(), options.fused) {
  const bool fused = options.fused;
  const int64_t width = path_width(options, shape.planes);
  const int64_t paths = options.block == Block::kB ? options.cardinality : 1;
  const int64_t groups = block_groups(options) / paths;
  for (int64_t j = 0; j < paths; ++j) {
    paths_.push_back(
        {Convolution(shape.in, width * groups, 1, 1, 1, generator),
         BatchNorm(width * groups, fused),
         Convolution(width * groups, width * groups, 3, shape.stride, groups, generator),
         BatchNorm(width * groups, fused)});
  }
  if (needs_projection(options.shortcut, shape)) {
    projection_ = {Convolution(shape.in, shape.out(), 1, shape.stride, 1, generator),
                   BatchNorm(shape.out(), fused)};
  }
  if (options.zero_gamma) bn3_.weight.zero_();
}

at::Tensor Bottleneck::operator()(const at::Tensor& x, Mode mode) const {
  return bn3_.add_relu(conv3_(transform(x, mode)), shortcut(x, mode), mode);
}

at::Tensor Bottleneck::transform(const at::Tensor& x, Mode mode) const {
  if (paths_.size() == 1) return paths_.front()(x, mode);
  std::vector<at::Tensor> parts;
  for (const Path& path : paths_) parts.push_back(path(x, mode));
  return at::cat(parts, 1);
}

at::Tensor Bottleneck::shortcut(const at::Tensor& x, Mode mode) const {
  if (projection_) return projection_->bn(projection_->conv(x), mode);
  if (shape_.in == shape_.out() && shape_.stride == 1) return x;
  const at::Tensor sampled =
      x.slice(2, 0, std::nullopt, shape_.stride).slice(3, 0, std::nullopt, shape_.stride);
  return at::constant_pad_nd(sampled, {0, 0, 0, 0, 0, shape_.out() - shape_.in});
}

void Bottleneck::visit(const std::string& name, const TensorVisitor& visitor) {
  if (paths_.size() == 1) {
    paths_.front().visit(name, visitor);
  } else {
    for (size_t j = 0; j < paths_.size(); ++j) {
      paths_[j].visit(name + ".paths." + std::to_string(j), visitor);
    }
  }
  conv3_.visit(name + ".conv3", visitor);
  bn3_.visit(name + ".bn3", visitor);
  if (projection_) {
    projection_->conv.visit(name + ".downsample.0", visitor);
    projection_->bn.visit(name + ".downsample.1", visitor);
  }
}

}  // namespace resnext
