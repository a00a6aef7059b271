// SPDX-License-Identifier: BSD-3-Clause
#include "comm/gradient_reducer.h"

#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <numeric>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"

namespace resnext {
namespace {

constexpr int64_t kNotStarted = -1;

struct Bucket {
  at::Tensor flat;               // [elements], the gradients of `members` one after another
  std::vector<int64_t> members;  // parameter indices
  int64_t pending = 0;           // members whose gradient is not complete
  int64_t ticket = kNotStarted;
};

int64_t to_bytes(double mib) {
  return static_cast<int64_t>(mib * 1024 * 1024);
}

}  // namespace

struct GradientReducer::Impl {
  Communicator& communicator;
  std::vector<at::Tensor> parameters;
  int64_t first_bytes;
  int64_t other_bytes;

  std::mutex mutex;  // guards all below against hooks on several autograd threads
  std::vector<Bucket> buckets;
  std::vector<size_t> bucket_of;  // by parameter
  std::vector<bool> ready;        // by parameter, in this step
  std::vector<int64_t> order;     // rules the buckets once learned
  bool learned = false;           // `order` is final
  bool rebuild = false;           // at the next begin()
  bool armed = false;
  bool in_flight = false;  // between arm() and the end of wait()
  size_t next_bucket = 0;  // first one whose all_reduce has not started

  Impl(Communicator& c, std::vector<at::Tensor> p, const CommOptions& options,
       std::vector<int64_t> given)
      : communicator(c),
        parameters(std::move(p)),
        first_bytes(to_bytes(options.first_bucket_mib)),
        other_bytes(to_bytes(options.bucket_mib)),
        order(std::move(given)),
        learned(!order.empty()) {
    std::vector<int64_t> initial(parameters.size());
    std::iota(initial.rbegin(), initial.rend(), 0);
    build(learned ? order : initial);
  }

  // Fills buckets in the given order, then makes each gradient a view into its bucket.
  void build(const std::vector<int64_t>& by) {
    check_is_permutation(by);
    buckets.clear();
    bucket_of.assign(parameters.size(), 0);
    ready.assign(parameters.size(), false);
    int64_t bytes = 0;
    for (int64_t index : by) {
      const int64_t limit = buckets.size() <= 1 ? first_bytes : other_bytes;
      const auto size = static_cast<int64_t>(parameters[index].nbytes());
      if (buckets.empty() || bytes + size > limit) {
        buckets.emplace_back();
        bytes = 0;
      }
      bytes += size;
      bucket_of[index] = buckets.size() - 1;
      buckets.back().members.push_back(index);
    }
    for (Bucket& bucket : buckets) make_views(bucket);
  }

  void make_views(Bucket& bucket) {
    int64_t elements = 0;
    for (int64_t index : bucket.members) elements += parameters[index].numel();
    bucket.flat = at::zeros({elements}, parameters.front().options().requires_grad(false));
    int64_t offset = 0;
    for (int64_t index : bucket.members) {
      at::Tensor& p = parameters[index];
      p.mutable_grad() = bucket.flat.as_strided(p.sizes(), p.strides(), offset);
      offset += p.numel();
    }
  }

  void check_is_permutation(const std::vector<int64_t>& by) const {
    std::vector<int64_t> sorted = by;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (sorted.size() != parameters.size() || sorted[i] != static_cast<int64_t>(i)) {
        throw CheckpointError("bucket order", "it does not list each parameter once",
                              "resume from a checkpoint of the same model");
      }
    }
  }

  void begin() {
    if (rebuild) {
      communicator.broadcast({order.data(), order.size(), DataType::kInt64}, 0);
      build(order);
      rebuild = false;
    } else {
      for (Bucket& bucket : buckets) bucket.flat.zero_();
    }
    for (Bucket& bucket : buckets) {
      bucket.pending = static_cast<int64_t>(bucket.members.size());
      bucket.ticket = kNotStarted;
    }
    std::fill(ready.begin(), ready.end(), false);
    next_bucket = 0;
  }

  void mark_ready(int64_t index) {
    std::lock_guard lock(mutex);
    if (!armed) return;
    if (ready[index]) {
      throw Error(ExitCode::kInternal, fmt::format("gradient of parameter {}", index),
                  "became ready twice in one step", "call arm() before one backward only");
    }
    ready[index] = true;
    if (!learned) order.push_back(index);
    --buckets[bucket_of[index]].pending;
    while (next_bucket < buckets.size() && buckets[next_bucket].pending == 0) start_next();
  }

  void start_next() {
    Bucket& bucket = buckets[next_bucket++];
    bucket.ticket =
        static_cast<int64_t>(communicator.start_all_reduce(as_buffer(bucket.flat), ReduceOp::kSum));
  }

  void wait() {
    std::unique_lock lock(mutex);
    armed = false;
    while (next_bucket < buckets.size()) start_next();
    const auto last = static_cast<Ticket>(buckets.back().ticket);
    if (!learned) learn();
    lock.unlock();
    communicator.wait(last);
    in_flight = false;
  }

  // Parameters without a gradient come last, so that they never hold up a bucket.
  void learn() {
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!ready[i]) order.push_back(static_cast<int64_t>(i));
    }
    learned = rebuild = true;
  }
};

namespace {

// Calls the reducer when a parameter's gradient has been accumulated.
struct ReadyHook final : torch::autograd::PostAccumulateGradHook {
  explicit ReadyHook(std::function<void()> mark) : mark_(std::move(mark)) {}
  void operator()(const at::Tensor&) override { mark_(); }

 private:
  std::function<void()> mark_;
};

}  // namespace

GradientReducer::GradientReducer(Communicator& communicator, std::vector<at::Tensor> parameters,
                                 const CommOptions& options, std::vector<int64_t> order)
    : impl_(
          std::make_shared<Impl>(communicator, std::move(parameters), options, std::move(order))) {
  for (size_t i = 0; i < impl_->parameters.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(
        impl_->parameters[i], std::make_unique<ReadyHook>([impl = impl_.get(), i] {
          impl->mark_ready(static_cast<int64_t>(i));
        }));
  }
}

GradientReducer::~GradientReducer() {
  for (at::Tensor& p : impl_->parameters) {
    torch::autograd::impl::set_post_acc_grad_hooks(p, nullptr);
  }
  // A collective with a lost peer may still write into the buckets: they are left to it.
  if (impl_->in_flight) new std::shared_ptr<Impl>(impl_);
}

void GradientReducer::begin() {
  impl_->begin();
}

void GradientReducer::arm() {
  std::lock_guard lock(impl_->mutex);
  impl_->armed = impl_->in_flight = true;
}

void GradientReducer::wait() {
  impl_->wait();
}

const std::vector<int64_t>& GradientReducer::order() const {
  return impl_->order;
}

std::vector<int64_t> GradientReducer::bucket_bytes() const {
  std::vector<int64_t> bytes;
  for (const Bucket& bucket : impl_->buckets) {
    bytes.push_back(static_cast<int64_t>(bucket.flat.nbytes()));
  }
  return bytes;
}

}  // namespace resnext
