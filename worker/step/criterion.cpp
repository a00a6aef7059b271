// SPDX-License-Identifier: BSD-3-Clause
#include "worker/step/criterion.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "worker/step/mixing.h"

namespace resnext {
namespace {

// Types as autocast makes them: bce in at least float32.
at::ScalarType wide(at::ScalarType type) {
  return type == at::kDouble ? type : at::kFloat;
}

at::Tensor binary_targets(const OptimizerOptions& options, const at::Tensor& logits,
                          const at::Tensor& labels) {
  const int64_t classes = logits.size(1);
  at::Tensor targets =
      labels.is_floating_point() ? labels : one_hot(labels, classes, wide(logits.scalar_type()));
  const double s = options.label_smoothing;
  if (s > 0) targets = targets.mul(1 - s).add_(s / static_cast<double>(classes));
  if (options.bce_threshold > 0) {
    targets = targets.gt(options.bce_threshold).to(targets.scalar_type());
  }
  return targets;
}

}  // namespace

at::Tensor loss_of(const OptimizerOptions& options, const at::Tensor& logits,
                   const at::Tensor& labels, const at::Tensor& class_weights) {
  if (options.loss == LossKind::kBce) {
    return at::binary_cross_entropy_with_logits(logits, binary_targets(options, logits, labels), {},
                                                {}, at::Reduction::Mean);
  }
  if (class_weights.defined()) {
    return at::cross_entropy_loss(logits, labels, class_weights, at::Reduction::Sum, -100,
                                  options.label_smoothing)
        .div(static_cast<double>(labels.size(0)));
  }
  return at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, -100,
                                options.label_smoothing);
}

}  // namespace resnext
