// Mixup and CutMix: the images and labels of a batch blended in pairs.
//
// Mixup (Zhang et al. 2018, arXiv 1710.09412) blends all pixels: lambda * image + (1 - lambda) *
// partner, lambda from Beta(a, a). CutMix (Yun et al. 2019, arXiv 1905.04899) puts a box of the
// partner's pixels into the image, its centre anywhere, its sides sqrt(1 - lambda) of the image's,
// cut off at the border; lambda is then the share of the pixels that are the image's own. Labels
// become lambda * own + (1 - lambda) * partner's. These are the laws of torchvision's v2.MixUp and
// v2.CutMix under RandomChoice, and of timm's Mixup in mode "batch".
//
// Theirs draw once for each process's batch. Here there is one draw for the whole global batch,
// keyed by (seed, epoch, images of the epoch before it), and images 2i and 2i + 1 of the global
// batch are partners: with an even number in each micro-batch both are always on the same rank. So
// a batch is mixed the same on any number of ranks, with any accumulation, and in a resumed run.
// The order of the images is random, so that which neighbours are partners changes no law.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "configs/run_config.h"
#include "data/sampler.h"

namespace resnext {

// What happens to a global batch. Without a box (all 0) all pixels are blended.
struct MixDraw {
  double lambda = 1;                                 // share of the own label; 1: nothing is mixed
  int64_t left = 0, top = 0, right = 0, bottom = 0;  // half-open, pixels
  bool operator==(const MixDraw&) const = default;
};

// For the global batch that begins at `position`, of images of `size` x `size` pixels. Pure; the
// same on every rank and machine but for the last bits of lambda.
MixDraw draw_mix(const MixOptions& options, uint64_t seed, const Position& position, int64_t size);

// CutMix's box around a centre, and the share of the own pixels. Pure.
MixDraw box_around(int64_t x, int64_t y, double lambda, int64_t size);

// Mixes on the device what lies there. A draw goes there as a few numbers, so that a captured step
// follows it without a wait. Local; belongs to the training thread.
class Mixer {
 public:
  Mixer(const MixOptions& options, uint64_t seed, int64_t size, at::Device device);

  // For images of another size.
  void resize(int64_t size);

  bool enabled() const { return options_.mixup > 0 || options_.cutmix > 0; }
  // For the batches from now on.
  void draw(const Position& position) { use(draw_mix(options_, seed_, position, size_)); }
  void use(const MixDraw& draw);

  // [n, 3, size, size], n even, any floating-point type and memory format -> the same, in new
  // memory.
  at::Tensor images(const at::Tensor& images) const;
  // int64 [n] -> probabilities [n, classes] of `type`.
  at::Tensor targets(const at::Tensor& labels, int64_t classes, at::ScalarType type) const;

 private:
  const MixOptions options_;
  const uint64_t seed_;
  int64_t size_;
  at::Tensor places_;   // int64 [size]: 0, 1, ...
  at::Tensor box_;      // int64 [4]
  at::Tensor outside_;  // float64 []: weight of the image's own pixels outside the box
  at::Tensor lambda_;   // float64 []
};

// int64 [n] -> [n, classes] of `type`, 1 at the label.
at::Tensor one_hot(const at::Tensor& labels, int64_t classes, at::ScalarType type);

}  // namespace resnext
