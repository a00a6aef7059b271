// SPDX-License-Identifier: BSD-3-Clause
#include "comm/gradient_reducer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <numeric>

#include "comm/common/buckets.h"
#include "comm/common/error.h"
#include "comm/tensor_collectives.h"

namespace resnext {
namespace {

constexpr int64_t kNotStarted = -1;

// A bucket and what becomes of it in a step.
struct Bucket : GradientBucket {
  at::Tensor travelling;  // what is summed: `flat`, or a bfloat16 copy of it
  int64_t pending = 0;    // members whose gradient is not complete
  int64_t ticket = kNotStarted;
  GradientReducer::Moment ready;       // while it is observed
  std::shared_ptr<void> registration;  // of `travelling`; ends before it
};

int64_t to_bytes(double mib) {
  return static_cast<int64_t>(mib * 1024 * 1024);
}

// Of the tensor and of the padding behind it.
int64_t padded_size(const at::Tensor& tensor) {
  return padded_bytes(tensor.numel() * static_cast<int64_t>(tensor.element_size()));
}

// Whether gradients are to be compressed.
bool compresses(const CommOptions& options, const std::vector<at::Tensor>& parameters) {
  if (options.compress == Compression::kNone) return false;
  for (const at::Tensor& p : parameters) {
    if (p.scalar_type() == at::kFloat) continue;
    throw ConfigError(
        "comm.compress",
        fmt::format("gradients of type {} are not compressed", c10::toString(p.scalar_type())),
        "set it to none, or precision.compute to another type");
  }
  return true;
}

}  // namespace

struct GradientReducer::Impl {
  Communicator& communicator;
  std::vector<at::Tensor> parameters;
  int64_t first_bytes;
  int64_t other_bytes;
  bool compressed;  // buckets travel as bfloat16

  std::mutex mutex;  // guards all below against hooks on several autograd threads
  std::vector<Bucket> buckets;
  std::vector<size_t> bucket_of;  // by parameter
  std::vector<bool> ready;        // by parameter, in this step
  std::vector<int64_t> order;     // rules the buckets once learned
  bool learned = false;           // `order` is final
  int64_t generation = 0;         // of the buckets
  bool rebuild = false;           // at the next begin()
  bool armed = false;
  bool in_flight = false;  // between arm() and the end of wait()
  size_t next_bucket = 0;  // first one whose all_reduce has not started
  Observer observer;

  Impl(Communicator& c, std::vector<at::Tensor> p, const CommOptions& options,
       std::vector<int64_t> given)
      : communicator(c),
        parameters(std::move(p)),
        first_bytes(to_bytes(options.first_bucket_mib)),
        other_bytes(to_bytes(options.bucket_mib)),
        compressed(compresses(options, parameters) && c.size() > 1),
        order(std::move(given)),
        learned(!order.empty()) {
    std::vector<int64_t> initial(parameters.size());
    std::iota(initial.rbegin(), initial.rend(), 0);
    build(learned ? order : initial);
  }

  // Fills buckets in the given order, then makes each gradient a view into its bucket. Buckets of
  // the final order stay and are prepared for it.
  void build(const std::vector<int64_t>& by) {
    check_is_permutation(by);
    ++generation;
    buckets.clear();
    bucket_of.assign(parameters.size(), 0);
    ready.assign(parameters.size(), false);
    std::vector<int64_t> sizes;
    for (const int64_t index : by) sizes.push_back(padded_size(parameters[index]));
    const std::vector<size_t> chosen = assign_buckets(sizes, first_bytes, other_bytes);
    if (!chosen.empty()) buckets.resize(chosen.back() + 1);
    for (size_t i = 0; i < by.size(); ++i) {
      bucket_of[by[i]] = chosen[i];
      buckets[chosen[i]].members.push_back(by[i]);
    }
    for (Bucket& bucket : buckets) {
      make_views(bucket);
      bucket.travelling =
          compressed ? at::empty(bucket.flat.sizes(), type_to_travel()) : bucket.flat;
      if (learned) bucket.registration = communicator.register_buffer(as_buffer(bucket.travelling));
    }
  }

  at::TensorOptions type_to_travel() const {
    return at::TensorOptions().dtype(at::kBFloat16).device(parameters.front().device());
  }

  void make_views(Bucket& bucket) {
    int64_t elements = 0;
    for (int64_t index : bucket.members) {
      bucket.offsets.push_back(elements);
      elements += padded_size(parameters[index]) / parameters[index].element_size();
    }
    bucket.flat = at::zeros({elements}, parameters.front().options().requires_grad(false));
    for (size_t i = 0; i < bucket.members.size(); ++i) {
      at::Tensor& p = parameters[bucket.members[i]];
      p.mutable_grad() = bucket.flat.as_strided(p.sizes(), p.strides(), bucket.offsets[i]);
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
  }

  void arm() {
    std::lock_guard lock(mutex);
    for (Bucket& bucket : buckets) {
      bucket.pending = static_cast<int64_t>(bucket.members.size());
      bucket.ticket = kNotStarted;
    }
    std::fill(ready.begin(), ready.end(), false);
    next_bucket = 0;
    armed = in_flight = true;
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
    if (observer) bucket.ready = std::chrono::steady_clock::now();
    if (compressed) bucket.travelling.copy_(bucket.flat);
    bucket.ticket = static_cast<int64_t>(
        communicator.start_all_reduce(as_buffer(bucket.travelling), ReduceOp::kSum));
  }

  void wait() {
    std::unique_lock lock(mutex);
    armed = false;
    while (next_bucket < buckets.size()) start_next();
    if (!learned) learn();
    lock.unlock();
    if (compressed) {
      wait_and_widen();
    } else {
      communicator.wait(static_cast<Ticket>(buckets.back().ticket));
    }
    in_flight = false;
    if (observer) report();
  }

  void report() const {
    for (size_t i = 0; i < buckets.size(); ++i) {
      const auto summed = communicator.completed_at(static_cast<Ticket>(buckets[i].ticket));
      if (summed) observer(i, buckets[i].ready, *summed);
    }
  }

  // One bucket is converted while the next still travels.
  void wait_and_widen() {
    for (Bucket& bucket : buckets) {
      communicator.wait(static_cast<Ticket>(bucket.ticket));
      bucket.flat.copy_(bucket.travelling);
    }
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
  impl_->arm();
}

void GradientReducer::wait() {
  impl_->wait();
}

void GradientReducer::observe(Observer observer) {
  impl_->observer = std::move(observer);
}

const std::vector<int64_t>& GradientReducer::order() const {
  return impl_->order;
}

std::vector<GradientBucket> GradientReducer::buckets() const {
  return {impl_->buckets.begin(), impl_->buckets.end()};
}

int64_t GradientReducer::generation() const {
  return impl_->generation;
}

}  // namespace resnext
