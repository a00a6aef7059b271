// SPDX-License-Identifier: BSD-3-Clause
#include "model/network/recompute.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>
#include <utility>

#include "comm/common/error.h"

namespace resnext {
namespace {

using torch::autograd::variable_list;

// Of one thread.
struct AutocastState {
  at::DeviceType device;
  bool enabled;
  at::ScalarType type;
  bool cache;

  static AutocastState current(at::DeviceType device) {
    return {device, at::autocast::is_autocast_enabled(device),
            at::autocast::get_autocast_dtype(device), at::autocast::is_autocast_cache_enabled()};
  }
  void set() const {
    at::autocast::set_autocast_dtype(device, type);
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_cache_enabled(cache);
  }
};

class AutocastScope {
 public:
  explicit AutocastScope(const AutocastState& state)
      : before_(AutocastState::current(state.device)) {
    state.set();
  }
  ~AutocastScope() { before_.set(); }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  AutocastState before_;
};

// The part in the graph of backward.
struct SecondRun final : torch::autograd::Node {
  Stage stage;
  AutocastState autocast;
  torch::autograd::SavedVariable input;

  SecondRun(Stage run, const AutocastState& state, const at::Tensor& x)
      : Node(torch::autograd::collect_next_edges(x)),
        stage(std::move(run)),
        autocast(state),
        input(x, /*is_output=*/false) {}

  variable_list apply(variable_list&& gradients) override {
    if (at::GradMode::is_enabled()) {
      throw Error(ExitCode::kInternal, "recompute", "has no second derivative",
                  "set model.recompute_stages to 0");
    }
    const at::Tensor x = input.unpack().detach().set_requires_grad(true);
    torch::autograd::backward({run(x)}, {gradients[0]});
    return {x.grad()};
  }

  void release_variables() override { input.reset_data(); }

 private:
  at::Tensor run(const at::Tensor& x) const {
    const at::AutoGradMode with_graph(true);
    const AutocastScope scope(autocast);
    return stage(x, Mode::kRecompute);
  }
};

}  // namespace

// Autocast's cache of converted weights stays out of both runs: the first would leave conversions
// without a graph there, which the second would find.
at::Tensor recompute(const Stage& stage, const at::Tensor& x) {
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return stage(x, Mode::kTrain);
  AutocastState autocast = AutocastState::current(x.device().type());
  autocast.cache = false;
  at::Tensor y;
  {
    const at::NoGradGuard without_graph;
    const AutocastScope scope(autocast);
    y = stage(x, Mode::kTrain);
  }
  const std::shared_ptr<SecondRun> node(new SecondRun(stage, autocast, x),
                                        torch::autograd::deleteNode);
  torch::autograd::set_history(y, node);
  return y;
}

}  // namespace resnext
