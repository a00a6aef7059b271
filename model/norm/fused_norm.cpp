// SPDX-License-Identifier: BSD-3-Clause
#include "model/norm/fused_norm.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "comm/common/error.h"
#include "model/norm/fused_cpu.h"
#include "model/norm/fused_device.h"

namespace resnext {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool is_dense_channels_last(const at::Tensor& x) {
  return x.dim() == 4 && x.numel() > 0 && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor statistics_of(const at::Tensor& x, const NormParameters& norm, bool training,
                         const at::Tensor& sums) {
  return x.is_cpu() ? cpu::norm_statistics(x, norm, training, sums)
                    : device::norm_statistics(x, norm, training, sums);
}

at::Tensor run_forward(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                       const at::Tensor& statistics, bool relu) {
  return x.is_cpu() ? cpu::norm_forward(x, residual, norm, statistics, relu)
                    : device::norm_forward(x, residual, norm, statistics, relu);
}

// The gradients of one or two readers, dense; of two, one may not have come.
OutputGradients gradients_of(const variable_list& readers) {
  variable_list came;
  for (const at::Tensor& gradient : readers) {
    if (gradient.defined()) came.push_back(gradient.contiguous(at::MemoryFormat::ChannelsLast));
  }
  return {came[0], came.size() > 1 ? came[1] : at::Tensor(), {}};
}

// The reader's sums are those of the gradient that it gave.
void take_sums(OutputGradients& gradients, const c10::IValue& capsule) {
  auto reader = c10::static_intrusive_pointer_cast<NormReader>(capsule.toCapsule());
  if (reader->sums.defined() && !gradients.other.defined() &&
      reader->gradient.is_same(gradients.gradient)) {
    gradients.sums = reader->sums;
  }
  reader->gradient = reader->sums = at::Tensor();
}

class FusedNorm : public torch::autograd::Function<FusedNorm> {
 public:
  // Autograd sees the tensors among the arguments; weight and bias are those of `norm`. The output
  // once or, for two readers, twice.
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const at::Tensor& weight, const at::Tensor& bias,
                               const std::optional<at::Tensor>& residual,
                               const NormParameters& norm, bool training, bool relu, bool pair,
                               const NormNeighbours& beside) {
    const at::Tensor statistics = statistics_of(x, norm, training, beside.sums);
    at::Tensor output = run_forward(x, residual.value_or(at::Tensor()), norm, statistics, relu);
    const at::Tensor mask = relu && residual ? output : at::Tensor();
    context->save_for_backward({x, mask, weight, bias, statistics});
    context->saved_data["training"] = training;
    context->saved_data["relu"] = relu;
    context->saved_data["residual"] = residual.has_value();
    context->set_materialize_grads(false);
    if (beside.reader) {
      beside.reader->norm = {x, mask, weight, bias, statistics, training, relu};
      context->saved_data["reader"] = c10::IValue::make_capsule(beside.reader);
    }
    if (!pair) return {output};
    return {output, output.variable_data()};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error(ExitCode::kInternal, "fused_norm", "has no second derivative",
                  "build the network with fused layers off (ModelOptions::fused)");
    }
    auto& flags = context->saved_data;
    const variable_list kept = context->get_saved_variables();
    const NormSaved saved{kept[0],
                          kept[1],
                          kept[2],
                          kept[3],
                          kept[4],
                          flags["training"].toBool(),
                          flags["relu"].toBool()};
    const bool want_residual = flags["residual"].toBool() && context->needs_input_grad(kResidual);
    const auto run = saved.x.is_cpu() ? &cpu::norm_backward : &device::norm_backward;
    OutputGradients output = gradients_of(gradients);
    if (flags.count("reader") > 0) take_sums(output, flags["reader"]);
    const NormGradients made = run(output, saved, want_residual);
    return {made.input, made.weight, made.bias, made.residual, {}, {}, {}, {}, {}};
  }

 private:
  static constexpr size_t kResidual = 3;  // among the arguments that are tensors
};

variable_list outputs_of(const at::Tensor& x, const at::Tensor& residual,
                         const NormParameters& norm, bool training, bool relu, bool pair,
                         const NormNeighbours& beside) {
  const auto optional = residual.defined() ? std::optional(residual) : std::nullopt;
  return FusedNorm::apply(x, norm.weight, norm.bias, optional, norm, training, relu, pair, beside);
}

}  // namespace

bool can_fuse_norm(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm) {
  if (!is_dense_channels_last(x)) return false;
  if (residual.defined() && (!is_dense_channels_last(residual) || residual.sizes() != x.sizes() ||
                             residual.scalar_type() != x.scalar_type())) {
    return false;
  }
  if (!x.is_cpu()) return device::can_fuse_norm(x, norm);
  return (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) &&
         norm.weight.scalar_type() == x.scalar_type();
}

at::Tensor fused_norm(const at::Tensor& x, const at::Tensor& residual, const NormParameters& norm,
                      bool training, bool relu, const NormNeighbours& beside) {
  return outputs_of(x, residual, norm, training, relu, /*pair=*/false, beside)[0];
}

std::array<at::Tensor, 2> fused_norm_pair(const at::Tensor& x, const at::Tensor& residual,
                                          const NormParameters& norm, bool training, bool relu,
                                          const NormNeighbours& beside) {
  const variable_list outputs =
      outputs_of(x, residual, norm, training, relu, /*pair=*/true, beside);
  return {outputs[0], outputs[1]};
}

}  // namespace resnext
