// A network of one number, which is a function of the images that it has seen, in their order.
//
// It takes its images as the loader does (data/sampler.h), keeps a log of the batches that its
// value came from, and saves both with a checksum, so that any save can be checked by itself.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "worker/learner.h"

namespace resnext::test {

// Images [begin, end) of an epoch's order, which a seed makes, of so many in the data.
struct SeenBatch {
  int64_t epoch = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t images = 0;
  uint64_t seed = 0;
  bool operator==(const SeenBatch&) const = default;
};

struct FakeWeights {
  uint64_t value = 0;
  std::vector<SeenBatch> seen;
  bool operator==(const FakeWeights&) const = default;
};

std::string to_text(const FakeWeights& weights);
// Throws std::runtime_error when the text is not whole.
FakeWeights to_weights(const std::string& text);

// The value that comes of these batches. `not_finite` and `seed` as in FakeOptions.
uint64_t replay(const std::vector<SeenBatch>& seen, uint64_t seed, bool not_finite);

// Percent, drawn from the value.
double top1_of(const FakeWeights& weights);

struct FakeOptions {
  int64_t images = 0;
  int64_t global_batch = 0;
  SampleOrder order;        // of the epochs that it begins
  uint64_t seed = 0;        // of the steps that are skipped
  int64_t steps_ahead = 0;  // of a GPU: reports come so much later
  bool not_finite = false;  // some steps are skipped
  // Called in each step and validation of this rank: may throw, or change the weights.
  std::function<void(int64_t step, FakeWeights& weights)> on_step;
  std::function<void()> on_validation;
};

class FakeLearner final : public Learner {
 public:
  FakeLearner(const FakeOptions& options, Communicator& communicator, FakeWeights weights);

  void start(const Position& position) override { position_ = position; }
  void step(const StepRequest& request) override;
  std::vector<StepReport> reports(bool all) override;
  std::optional<Validation> validate(const std::function<bool()>& stop) override;
  void describe(Progress& progress) const override { progress.bucket_order = {0}; }
  std::function<void()> make_room_to_copy() override {
    return [] {};
  }
  std::vector<SavedFile> copy() override;
  uint64_t tally() const override { return tally_; }
  uint64_t checksum() const override { return weights_.value; }

  const FakeWeights& weights() const { return weights_; }
  const Position& position() const { return position_; }

 private:
  uint64_t seed() const { return position_.order.value_or(options_.order).seed; }
  const std::vector<int64_t>& order();

  const FakeOptions options_;
  Communicator& communicator_;
  FakeWeights weights_;
  Position position_;
  uint64_t tally_ = 0;
  std::vector<int64_t> order_;  // of ordered_epoch_
  int64_t ordered_epoch_ = -1;
  std::deque<StepReport> pending_;
};

}  // namespace resnext::test
