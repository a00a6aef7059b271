// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/summed_convolution.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/convolution_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <utility>

#include "comm/common/error.h"

namespace resnext {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What backward needs besides tensors.
struct Task : torch::CustomClassHolder {
  ConvolutionShape shape;
  std::shared_ptr<ConvolutionKernels> kernels;
  c10::intrusive_ptr<NormReader> before;

  Task(ConvolutionShape s, std::shared_ptr<ConvolutionKernels> k, c10::intrusive_ptr<NormReader> b)
      : shape(s), kernels(std::move(k)), before(std::move(b)) {}

  // The input's gradient, left with its sums for the norm before; undefined: not made.
  at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& weight) const {
    if (!before || !before->norm.x.defined()) return {};
    const NormSaved norm = std::exchange(before->norm, {});  // frees x as soon as backward can
    const auto made = kernels->input_gradient(gradient, weight, shape, norm);
    if (!made) return {};
    before->gradient = made->values;
    before->sums = made->sums;
    return made->values;
  }
};

class SummedConvolution : public torch::autograd::Function<SummedConvolution> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& input,
                               const at::Tensor& weight, const c10::intrusive_ptr<Task>& task,
                               bool sums) {
    context->save_for_backward({input, weight});
    context->saved_data["task"] = c10::IValue::make_capsule(task);
    context->set_materialize_grads(false);
    const auto made =
        sums ? task->kernels->forward(input, weight, task->shape) : std::optional<Summed>();
    if (!made) return {convolve(input, weight, task->shape)};
    context->mark_non_differentiable({made->sums});
    return {made->values, made->sums};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error(ExitCode::kInternal, "convolve_summed", "has no second derivative",
                  "set model.fused_convolutions to false");
    }
    const variable_list saved = context->get_saved_variables();
    const auto task =
        c10::static_intrusive_pointer_cast<Task>(context->saved_data["task"].toCapsule());
    const at::Tensor gradient = gradients[0].contiguous(gradients[0].suggest_memory_format());
    variable_list made(4);
    if (context->needs_input_grad(0)) made[0] = task->input_gradient(gradient, saved[1]);
    const std::array<bool, 3> missing = {context->needs_input_grad(0) && !made[0].defined(),
                                         context->needs_input_grad(1), false};
    if (!missing[0] && !missing[1]) return made;
    const auto [stride, padding, groups] = task->shape;
    const auto [of_input, of_weight, of_bias] = at::convolution_backward(
        gradient, saved[0], saved[1], std::nullopt, {stride, stride}, {padding, padding}, {1, 1},
        /*transposed=*/false, {0, 0}, groups, missing);
    if (missing[0]) made[0] = of_input;
    made[1] = of_weight;
    return made;
  }
};

// As autocast would for a convolution: the weight's copy is made once a step and differentiable.
at::Tensor as_computed(const at::Tensor& tensor) {
  const auto device = tensor.device().type();
  if (!at::autocast::is_autocast_enabled(device)) return tensor;
  return at::autocast::cached_cast(at::autocast::get_autocast_dtype(device), tensor, device);
}

}  // namespace

Summed convolve_summed(const at::Tensor& input, const at::Tensor& weight, ConvolutionShape shape,
                       std::shared_ptr<ConvolutionKernels> kernels, bool sums,
                       c10::intrusive_ptr<NormReader> before) {
  const auto task = c10::make_intrusive<Task>(shape, std::move(kernels), std::move(before));
  const variable_list made =
      SummedConvolution::apply(as_computed(input), as_computed(weight), task, sums);
  return {made[0], made.size() > 1 ? made[1] : at::Tensor()};
}

}  // namespace resnext
