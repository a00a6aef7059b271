// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/fake_learner.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <exception>
#include <span>
#include <sstream>
#include <stdexcept>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "data/sampler.h"
#include "worker/state/agreement.h"

namespace resnext::test {
namespace {

// Steele, Lea, Flood 2014: the finalizer of SplitMix64.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

int64_t brings(int64_t image) {
  return static_cast<int64_t>(mix(static_cast<uint64_t>(image) + 1) >> 16);
}

bool is_skipped(uint64_t seed, int64_t step) {
  return mix(seed * 31 + static_cast<uint64_t>(step)) % 7 == 0;
}

uint64_t updated(uint64_t value, int64_t sum) {
  return mix(value * 3 + static_cast<uint64_t>(sum) + 1);
}

uint32_t sum_of(const std::string& text) {
  return crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace

std::string to_text(const FakeWeights& weights) {
  std::string text = fmt::format("{}\n", weights.value);
  for (const SeenBatch& b : weights.seen) {
    text += fmt::format("{} {} {} {} {}\n", b.epoch, b.begin, b.end, b.images, b.seed);
  }
  return text + fmt::format("sum {}\n", sum_of(text));
}

FakeWeights to_weights(const std::string& text) {
  const auto end = text.rfind("sum ");
  if (end == std::string::npos ||
      text.substr(end) != fmt::format("sum {}\n", sum_of(text.substr(0, end)))) {
    throw std::runtime_error("the weights are not whole");
  }
  std::istringstream stream(text.substr(0, end));
  FakeWeights weights;
  stream >> weights.value;
  for (SeenBatch b; stream >> b.epoch >> b.begin >> b.end >> b.images >> b.seed;) {
    weights.seen.push_back(b);
  }
  return weights;
}

uint64_t replay(const std::vector<SeenBatch>& seen, uint64_t seed, bool not_finite) {
  uint64_t value = 0;
  int64_t step = 0;
  SeenBatch last{-1};
  std::vector<int64_t> order;
  for (const SeenBatch& b : seen) {
    if (b.epoch != last.epoch || b.images != last.images) {
      order = Sampler(b.images, SampleOrder{b.seed}).order(b.epoch);
    }
    last = b;
    int64_t sum = 0;
    for (int64_t i = b.begin; i < b.end; ++i) sum += brings(order.at(static_cast<size_t>(i)));
    if (!not_finite || !is_skipped(seed, ++step)) value = updated(value, sum);
  }
  return value;
}

double top1_of(const FakeWeights& weights) {
  return static_cast<double>(mix(weights.value) % 10000) / 100;
}

FakeLearner::FakeLearner(const FakeOptions& options, Communicator& communicator,
                         FakeWeights weights)
    : options_(options), communicator_(communicator), weights_(std::move(weights)) {}

const std::vector<int64_t>& FakeLearner::order() {
  if (ordered_epoch_ != position_.epoch) {
    order_ = Sampler(options_.images, SampleOrder{seed()}).order(position_.epoch);
    ordered_epoch_ = position_.epoch;
  }
  return order_;
}

// Each rank brings its share's sum and number; the value is the same however they were shared.
void FakeLearner::step(const StepRequest& request) {
  options_.on_step(request.step, weights_);
  position_ = at_full_batch(position_, options_.images, options_.global_batch);
  const Share share = share_of_rank(options_.images, options_.global_batch, position_.images,
                                    communicator_.rank(), communicator_.size());
  int64_t sums[3] = {0, share.end - share.begin, request.stop ? 1 : 0};
  for (int64_t i = share.begin; i < share.end; ++i) {
    sums[0] += brings(order()[static_cast<size_t>(i)]);
  }
  tally_ += tally_of(std::span(order()).subspan(static_cast<size_t>(share.begin),
                                                static_cast<size_t>(share.end - share.begin)));
  communicator_.all_reduce({sums, 3, DataType::kInt64}, ReduceOp::kSum);
  if (sums[1] != options_.global_batch) throw std::runtime_error("a batch is not full");
  const bool skipped = options_.not_finite && is_skipped(options_.seed, request.step);
  if (!skipped) weights_.value = updated(weights_.value, sums[0]);
  weights_.seen.push_back({position_.epoch, position_.images,
                           position_.images + options_.global_batch, options_.images, seed()});
  position_ = after_batch(position_, options_.images, options_.global_batch);
  pending_.push_back({request.step, skipped ? NAN : 1.0, sums[2] > 0, skipped});
}

std::vector<StepReport> FakeLearner::reports(bool all) {
  std::vector<StepReport> due;
  while (static_cast<int64_t>(pending_.size()) > (all ? 0 : options_.steps_ahead)) {
    due.push_back(pending_.front());
    pending_.pop_front();
  }
  return due;
}

// As the network's: a damaged image is everybody's error (worker/evaluator.cpp).
std::optional<Validation> FakeLearner::validate(const std::function<bool()>& stop) {
  std::exception_ptr error;
  try {
    options_.on_validation();
  } catch (const Error&) {
    error = std::current_exception();
  }
  int64_t sums[2] = {stop() ? 1 : 0, error ? 1 : 0};
  communicator_.all_reduce({sums, 2, DataType::kInt64}, ReduceOp::kSum);
  if (sums[1] > 0) throw_together(communicator_, error);
  if (sums[0] > 0) return std::nullopt;
  return Validation{{1.0, top1_of(weights_), 100, 10}, {}};
}

std::vector<SavedFile> FakeLearner::copy() {
  const auto file = [text = to_text(weights_)](const char* name) {
    return SavedFile{name, [text](const auto& sink) {
                       const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
                       const size_t half = bytes.size() / 2;
                       sink(bytes.first(half));
                       sink(bytes.subspan(half));
                     }};
  };
  return {file("model.pt"), file("optimizer.pt")};
}

}  // namespace resnext::test
