// One step of training over the next global batch: forward, backward with the gradients summed as
// they become ready, optimizer.
//
// A step whose loss (or, in float16 or with clipping, whose gradients) is not finite on any rank
// changes nothing on all of them. On a GPU nothing in a step waits for the device, and after a
// warm-up it is replayed from a CUDA graph. Running statistics, loss and stop flag are averaged
// over ranks in each step, beside backward. All public functions but report() are COLLECTIVE. One
// thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "comm/gradient_reducer.h"
#include "comm/tensor_collectives.h"
#include "configs/run_config.h"
#include "model/network/resnext.h"
#include "worker/input/batch_input.h"
#include "worker/record/meters.h"
#include "worker/step/gradient_norms.h"
#include "worker/step/loss_scaler.h"
#include "worker/step/mixing.h"
#include "worker/step/optimizer.h"
#include "worker/step/precision.h"
#include "worker/step/step_graph.h"

namespace resnext {

class TrainingStep {
 public:
  // `model` is on its device; its values become rank 0's. `order`: of an earlier run's reducer, or
  // empty. `class_weights`: of each class, or empty. What is passed by reference must outlive this.
  TrainingStep(const RunConfig& config, const Precision& precision, ResNeXt& model,
               Communicator& communicator, Meters& meters, std::vector<int64_t> order,
               const std::vector<double>& class_weights = {});

  // Takes config.batch.accumulation micro-batches from `next`, in the same memory each time where
  // graphs are replayed (else Error, 70). `stop`: this rank was asked to stop.
  void run(double lr, bool stop, const std::function<Input()>& next);

  // Draws what is random in the batch at `position`, which the next run() takes: how it is mixed
  // (mixing.h) and which blocks its images leave out (model/network/stochastic_depth.h). Where
  // data.early_sizes give its images another size than the last, graphs are captured anew.
  void draw(const Position& position);

  // Of the next run(), on rank 0 with log.tensorboard (gradient_norms.h).
  void ask_gradient_norms(bool wanted);
  std::vector<NamedValues> gradient_norms() const;
  // On the same rank, once: images of the first micro-batch, mixed, on the host; [n, 3, size,
  // size].
  at::Tensor take_sample() { return std::exchange(sample_, {}); }

  // Of the last step: float64 [StepReports::kNumbers] on the device, as StepReports wants it.
  const at::Tensor& report() const { return report_; }
  bool replayed() const { return graph_.replayed(); }

  GradientReducer& reducer() { return reducer_; }
  Optimizer& optimizer() { return optimizer_; }
  LossScaler& loss_scaler() { return scaler_; }
  Mixer& mixer() { return mixer_; }

 private:
  void take_size(const Position& position);
  void check_memory_is_fixed(const Input& input);
  void sample(const at::Tensor& images);
  void micro_step(const Input& input, bool first, bool last);
  void forward_backward(const Input& input, bool last);
  void divide_by_weight();
  void finish();

  const RunConfig& config_;
  const Precision& precision_;
  Mixer mixer_;
  ResNeXt& model_;
  Communicator& communicator_;
  Meters& meters_;
  at::Tensor class_weights_;  // [classes]; undefined: all images count alike
  at::Tensor weight_;  // [] mean weight of this step's images, over the same as loss_; else unused
  at::Tensor loss_;    // [] of this step, mean over micro-batches and, once averaged, ranks
  at::Tensor stop_;    // [] > 0 when any rank was asked to stop, once averaged
  at::Tensor skip_;    // float32 [], 1: the step is not to count
  at::Tensor report_;  // float64 [StepReports::kNumbers]
  TensorAverager averager_;
  GradientReducer reducer_;
  Optimizer optimizer_;
  LossScaler scaler_;
  std::optional<GradientNorms> norms_;  // on rank 0 with log.tensorboard
  bool sampled_ = false;                // or no sample is wanted
  at::Tensor sample_;
  StepGraph graph_;
  int64_t size_;                           // of the images, pixels
  uint64_t depth_key_ = 0;                 // of the epoch
  int64_t first_image_ = 0;                // of the next global batch, in its epoch
  const void* captured_images_ = nullptr;  // that a replay reads
  const void* captured_labels_ = nullptr;
};

}  // namespace resnext
