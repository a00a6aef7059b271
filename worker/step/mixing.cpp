// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/mixing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "data/keyed_random.h"

namespace resnext {
namespace {

// The logarithm of a number from the gamma distribution of this shape (Marsaglia and Tsang 2000,
// "A simple method for generating gamma variables"), which may be too small for a double.
double log_gamma_variate(KeyedRandom& random, double shape) {
  if (shape < 1) {
    const double uniform = 1 - random.uniform();
    return log_gamma_variate(random, shape + 1) + std::log(uniform) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.uniform()) < x * x / 2 + d - d * v + d * std::log(v)) {
      return std::log(d * v);
    }
  }
}

// From Beta(a, a).
double beta_variate(KeyedRandom& random, double a) {
  const double x = log_gamma_variate(random, a), y = log_gamma_variate(random, a);
  return 1 / (1 + std::exp(y - x));
}

// Partners exchanged: 1, 0, 3, 2, ...
at::Tensor exchanged(const at::Tensor& batch) {
  at::Tensor result = at::empty_like(batch);
  const int64_t n = batch.size(0);
  result.slice(0, 0, n, 2).copy_(batch.slice(0, 1, n, 2));
  result.slice(0, 1, n, 2).copy_(batch.slice(0, 0, n, 2));
  return result;
}

}  // namespace

MixDraw box_around(int64_t x, int64_t y, double lambda, int64_t size) {
  const auto half = static_cast<int64_t>(0.5 * std::sqrt(1 - lambda) * static_cast<double>(size));
  MixDraw draw{1, std::max<int64_t>(0, x - half), std::max<int64_t>(0, y - half),
               std::min(size, x + half), std::min(size, y + half)};
  const auto area = static_cast<double>((draw.right - draw.left) * (draw.bottom - draw.top));
  draw.lambda = 1 - area / static_cast<double>(size * size);
  return draw;
}

MixDraw draw_mix(const MixOptions& options, uint64_t seed, const Position& position, int64_t size) {
  KeyedRandom random(RandomUse::kMix, seed, static_cast<uint64_t>(position.epoch),
                     static_cast<uint64_t>(position.images));
  if (!random.chance(options.probability)) return {};
  const double share = options.mixup == 0 ? 1 : options.cutmix == 0 ? 0 : options.cutmix_share;
  const bool cuts = random.chance(share);
  const double lambda = beta_variate(random, cuts ? options.cutmix : options.mixup);
  if (!cuts) return {lambda};
  const auto anywhere = [&] {
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(size)));
  };
  const int64_t x = anywhere();
  return box_around(x, anywhere(), lambda, size);
}

Mixer::Mixer(const MixOptions& options, uint64_t seed, int64_t size, at::Device device)
    : options_(options), seed_(seed), size_(size) {
  if (!enabled()) return;
  const auto on_device = at::TensorOptions().device(device);
  places_ = at::arange(size, on_device.dtype(at::kLong));
  box_ = at::empty({4}, on_device.dtype(at::kLong));
  outside_ = at::empty({}, on_device.dtype(at::kDouble));
  lambda_ = at::empty({}, on_device.dtype(at::kDouble));
  use({});
}

void Mixer::resize(int64_t size) {
  if (!enabled() || size == size_) return;
  size_ = size;
  places_ = at::arange(size, places_.options());
}

void Mixer::use(const MixDraw& draw) {
  const int64_t sides[] = {draw.left, draw.right, draw.top, draw.bottom};
  for (int64_t i = 0; i < 4; ++i) box_[i].fill_(sides[i]);
  outside_.fill_(draw.right > draw.left ? 1 : draw.lambda);
  lambda_.fill_(draw.lambda);
}

at::Tensor Mixer::images(const at::Tensor& images) const {
  const at::Tensor across = places_.ge(box_[0]).logical_and(places_.lt(box_[1]));
  const at::Tensor down = places_.ge(box_[2]).logical_and(places_.lt(box_[3]));
  const at::Tensor inside = down.unsqueeze(1).logical_and(across.unsqueeze(0));
  const at::Tensor own = at::where(inside, 0.0, outside_).to(images.scalar_type());
  return exchanged(images).lerp_(images, own);
}

at::Tensor Mixer::targets(const at::Tensor& labels, int64_t classes, at::ScalarType type) const {
  const at::Tensor own = one_hot(labels, classes, type);
  return exchanged(own).lerp_(own, lambda_.to(type));
}

at::Tensor one_hot(const at::Tensor& labels, int64_t classes, at::ScalarType type) {
  return at::zeros({labels.size(0), classes}, labels.options().dtype(type))
      .scatter_(1, labels.unsqueeze(1), 1);
}

}  // namespace resnext
