// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/replicas.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr double kWorthSaying_ms = 20;  // less is the noise of a shared machine

std::vector<ReplicaReport> gather(Communicator& communicator, ReplicaReport mine) {
  std::vector<ReplicaReport> all(static_cast<size_t>(communicator.size()));
  communicator.all_gather({&mine, sizeof mine, DataType::kUint8},
                          {all.data(), all.size() * sizeof mine, DataType::kUint8});
  return all;
}

[[noreturn]] void fail(const std::vector<int>& ranks, int64_t step) {
  const bool one = ranks.size() == 1;
  throw CommError(fmt::format("step {}", step),
                  fmt::format("rank{} {} ha{} other weights or momentum than the rest: memory was "
                              "damaged",
                              one ? "" : "s", fmt::join(ranks, ", "), one ? "s" : "ve"),
                  "start again from the last checkpoint; replace the host if it happens again");
}

}  // namespace

std::vector<int> damaged_replicas(std::span<const ReplicaReport> reports) {
  const auto votes = [&](const ReplicaReport& mine) {
    return 2 * std::ranges::count(reports, mine.checksum, &ReplicaReport::checksum) >
           static_cast<int64_t>(reports.size());
  };
  std::vector<int> damaged;
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    if (!votes(reports[rank])) damaged.push_back(static_cast<int>(rank));
  }
  return damaged;
}

std::string slow_rank(std::span<const ReplicaReport> reports, double step_ms) {
  if (reports.size() < 2) return "";
  std::vector<ReplicaReport> sorted(reports.begin(), reports.end());
  std::ranges::sort(sorted, {}, &ReplicaReport::ready_ms);
  const ReplicaReport& usual = sorted[(sorted.size() - 1) / 2];
  const auto slowest = std::ranges::max_element(reports, {}, &ReplicaReport::ready_ms);
  const double cost = slowest->ready_ms - usual.ready_ms;
  if (cost < kWorthSaying_ms || cost < step_ms / 5) return "";
  return fmt::format(
      "rank {} is slow: its gradients are ready {:.0f} ms after the others' ({:.0f} ms of it "
      "waiting for images), which costs every step {:.0f} ms",
      slowest - reports.begin(), cost,
      std::clamp(slowest->data_wait_ms - usual.data_wait_ms, 0.0, cost), cost);
}

ReplicaReport report_of(uint64_t checksum, uint64_t tally, const Meters& meters) {
  const double wait = meters.mean_ms(Phase::kDataWait);
  return {checksum, tally,
          wait + meters.mean_ms(Phase::kForward) + meters.mean_ms(Phase::kBackward), wait};
}

uint64_t watch_replicas(Communicator& communicator, const ReplicaReport& mine, int64_t step,
                        double step_ms, bool warn) {
  const std::vector<ReplicaReport> all = gather(communicator, mine);
  if (const auto damaged = damaged_replicas(all); !damaged.empty()) fail(damaged, step);
  const std::string slow = slow_rank(all, step_ms);
  if (warn && !slow.empty() && communicator.rank() == 0) spdlog::warn("{}", slow);
  uint64_t tally = 0;
  for (const ReplicaReport& report : all) tally += report.tally;
  return tally;
}

}  // namespace resnext
