// SPDX-License-Identifier: BSD-3-Clause
#include "worker/evaluator.h"

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <exception>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"
#include "comm/watch/watch.h"
#include "worker/state/agreement.h"

namespace resnext {
namespace {

// Loss, top-1 hits, top-5 hits, images; ranks that were asked to stop; ranks that have failed.
constexpr int kSums = 6, kStopped = 4, kFailed = 5;

at::Tensor likeliest(const at::Tensor& logits) {
  return std::get<1>(at::topk(logits, std::min<int64_t>(5, logits.size(1)), 1));
}

// Adds the batch's first four, float64.
void add_batch(at::Tensor& sums, const at::Tensor& logits, const at::Tensor& best,
               const at::Tensor& labels) {
  const at::Tensor hits = at::eq(best, labels.unsqueeze(1)).to(at::kDouble);
  sums[0] += at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).to(at::kDouble);
  sums[1] += hits.select(1, 0).sum();
  sums[2] += hits.sum();
  sums[3] += static_cast<double>(labels.size(0));
}

void add_split(at::Tensor& sums, const ResNeXt& model, const Precision& precision,
               BatchInput& input, const std::function<bool()>& stop, const LookAtBatch& look) {
  input.start({});
  for (Input batch = input.next(); batch.count > 0; batch = input.next()) {
    if (stop()) {
      sums[kStopped] += 1;
      return;
    }
    const Precision::Scope scope(precision);
    const at::Tensor logits = mean_over_crops(batch, precision, [&](const at::Tensor& images) {
      return model.forward(images, Mode::kEvaluate);
    });
    const at::Tensor best = likeliest(logits);
    add_batch(sums, logits, best, batch.labels);
    if (look) look(batch.labels, best);
    watch::beat();
  }
}

}  // namespace

at::Tensor mean_over_crops(const Input& input, const Precision& precision,
                           const std::function<at::Tensor(const at::Tensor& images)>& f) {
  const at::NoGradGuard no_grad;
  const Precision::Scope scope(precision);
  const int64_t crops = input.images.size(0) / input.count;
  if (crops == 1) return f(input.images);
  at::Tensor sum;
  for (int64_t c = 0; c < crops; ++c) {
    const at::Tensor one =
        f(input.images.narrow(0, c * input.count, input.count)).to(precision.parameter_type());
    sum = c == 0 ? one : sum.add(one);
  }
  return sum.div(static_cast<double>(crops));
}

std::optional<Accuracy> evaluate(const ResNeXt& model, const Precision& precision,
                                 BatchInput& input, Communicator& communicator, at::Device device,
                                 const std::function<bool()>& stop, const LookAtBatch& look) {
  watch::enter(watch::Phase::kValidation);
  const at::NoGradGuard no_grad;
  at::Tensor sums = at::zeros({kSums}, at::TensorOptions().dtype(at::kDouble).device(device));
  std::exception_ptr error;
  try {
    add_split(sums, model, precision, input, stop, look);
  } catch (const Error&) {  // a damaged image: the others come to the sum below
    error = std::current_exception();
    sums[kFailed] += 1;
  }
  communicator.all_reduce(as_buffer(sums), ReduceOp::kSum);
  const at::Tensor total = sums.cpu();
  const double* s = total.const_data_ptr<double>();
  if (s[kFailed] > 0) throw_together(communicator, error);
  if (s[kStopped] > 0) return std::nullopt;
  return Accuracy{s[0] / s[3], 100 * s[1] / s[3], 100 * s[2] / s[3], static_cast<int64_t>(s[3])};
}

}  // namespace resnext
