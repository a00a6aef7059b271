// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/run_rules.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace resnext::test {
namespace {

// Behind `last`, the `steps`-th batch.
bool epoch_may_end(const SeenBatch& last, int64_t steps, const Footings& footings) {
  if (last.images - last.end < last.end - last.begin) return true;
  const auto [begin, end] = footings.equal_range(steps);
  return std::any_of(begin, end, [&](const auto& start) {
    return start.second.images - last.end < start.second.global_batch;
  });
}

}  // namespace

void require(bool holds, const std::string& what) {
  if (!holds) throw Violation{what};
}

void check_walk(const FakeWeights& weights, const Footings& footings, const History& history) {
  SeenBatch last;
  if (!weights.seen.empty()) last = weights.seen.front();
  last.begin = last.end = last.epoch = 0;
  int64_t steps = 0;
  for (const SeenBatch& b : weights.seen) {
    if (b.epoch == last.epoch) {
      require(b.begin == last.end,
              fmt::format("epoch {}: {} follows {}", b.epoch, b.begin, last.end));
      require(b.seed == last.seed, fmt::format("epoch {} changes its order", b.epoch));
    } else {
      require(b.epoch == last.epoch + 1 && b.begin == 0, "an epoch does not begin at its begin");
      require(epoch_may_end(last, steps, footings),
              fmt::format("epoch {} ended at image {}", last.epoch, last.end));
    }
    require(b.end <= b.images, "an epoch goes on behind its end");
    last = b;
    ++steps;
  }
  require(weights.value == replay(weights.seen, history.seed, history.not_finite),
          "the weights are not those of the images that were seen");
}

void check_metrics(const DiskView& view, int64_t every_steps, bool ended, int64_t last) {
  for (const char* event : {"train", "validation"}) {
    const auto found = view.logged.find(event);
    if (found == view.logged.end()) continue;
    const std::vector<int64_t>& steps = found->second;
    require(std::ranges::adjacent_find(steps, std::greater_equal<>()) == steps.end(),
            fmt::format("{} lines are not in order, each once", event));
  }
  if (!ended) return;
  const auto train = view.logged.find("train");
  for (int64_t step = every_steps; step <= last; step += every_steps) {
    require(train != view.logged.end() && std::ranges::binary_search(train->second, step),
            fmt::format("the train line of step {} is lost", step));
  }
}

void check_best(const DiskView& view) {
  double best = -1;
  for (const SeenSave& save : view.saves) {
    if (save.top1) best = std::max(best, *save.top1);
  }
  const SeenSave* pointed = view.find(view.best);
  if (best < 0 || view.broken.contains(view.best)) return;  // it was damaged meanwhile
  require(pointed != nullptr, "best leads nowhere");
  require(pointed->top1 == best,
          fmt::format("best has {}, another has {}", pointed->top1.value_or(-1), best));
  require(*pointed->top1 == top1_of(pointed->weights), "best is not what was validated");
}

void check_replicas(const Start& start, const Outcome& outcome) {
  if (!outcome.flipped) return;
  require(outcome.code == 76, "a flipped bit was not found");
  const std::string named = fmt::format("rank {} has other", start.rank);
  require(start.ranks < 3 || outcome.error.find(named) != std::string::npos,
          "the wrong rank is named");
}

// A save that still lags behind may be lost with its process.
void check_saved_before_validated(const Start& start, const DiskView& after,
                                  const Outcome& outcome) {
  const bool failed =
      start.mishap == Mishap::kKillValidation || start.mishap == Mishap::kBadValidation;
  if (!failed || outcome.validating < 0 || start.save_lag > 0) return;
  if (outcome.code != kKilledCode && outcome.code != 65) return;
  if (!outcome.at_epoch_end || start.save_epochs != 1) return;  // nothing was due
  const SeenSave* newest = after.newest_of_line();
  require(newest != nullptr && newest->step >= outcome.validating,
          fmt::format("step {} was validated, and not saved before", outcome.validating));
}

// A restart costs one of those that are left; so many starts in a row without a save end it.
void LauncherRules::check(const Attempt& attempt, const Decision& decision) {
  const bool helps =
      attempt.exit_code == 75 || attempt.exit_code == 76 || attempt.exit_code == kKilledCode;
  fruitless_ = attempt.serial_after > attempt.serial_before ? 0 : fruitless_ + 1;
  const bool expected =
      helps && attempt.stop_signal == 0 && fruitless_ < 5 && restarts_ < max_restarts_;
  require(decision.restart == expected,
          fmt::format("the launcher {}: {}", decision.restart ? "restarts" : "gives up",
                      decision.because));
  require(decision.delay_s <= 60, "the launcher waits too long");
  restarts_ += decision.restart ? 1 : 0;
}

}  // namespace resnext::test
