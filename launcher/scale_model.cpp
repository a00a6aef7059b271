// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/scale_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "comm/common/buckets.h"

namespace resnext {
namespace {

constexpr double kMicro = 1e-3;  // of a millisecond

int hosts_of(int ranks, const Cluster& cluster) {
  return (ranks + cluster.ranks_per_host - 1) / cluster.ranks_per_host;
}

double transfer_ms(double bytes, int ranks, const Cluster& cluster) {
  double gb_per_s = cluster.between.gb_per_s;
  if (hosts_of(ranks, cluster) == 1) {
    gb_per_s = cluster.inside.gb_per_s;
  } else if (cluster.ranks_per_host > 1) {
    gb_per_s = std::min(gb_per_s, cluster.inside.gb_per_s);
  }
  return bytes / (gb_per_s * 1e6);
}

// Milliseconds of so many hops of each sort.
double hops_ms(double inside, double between, const Cluster& cluster) {
  return (inside * cluster.inside.latency_us + between * cluster.between.latency_us) * kMicro;
}

// One bucket's gradients, and when they are all ready.
std::vector<GradientTime> buckets_of(const std::vector<GradientTime>& gradients,
                                     const BucketLimits& limits) {
  std::vector<int64_t> sizes;
  for (const GradientTime& gradient : gradients) sizes.push_back(gradient.bytes);
  const std::vector<size_t> bucket_of = assign_buckets(sizes, limits.first_bytes, limits.bytes);
  std::vector<GradientTime> buckets(bucket_of.empty() ? 0 : bucket_of.back() + 1);
  for (size_t i = 0; i < gradients.size(); ++i) {
    GradientTime& bucket = buckets[bucket_of[i]];
    bucket.bytes += gradients[i].bytes;
    bucket.ready_ms = std::max(bucket.ready_ms, gradients[i].ready_ms);
  }
  return buckets;
}

}  // namespace

double ring_ms(double bytes, int ranks, const Cluster& cluster) {
  if (ranks <= 1) return 0;
  const int between = hosts_of(ranks, cluster) == 1 ? 0 : hosts_of(ranks, cluster);
  const double share = 2.0 * (ranks - 1) / ranks;
  return share * (hops_ms(ranks - between, between, cluster) + transfer_ms(bytes, ranks, cluster));
}

double tree_ms(double bytes, int ranks, const Cluster& cluster) {
  if (ranks <= 1) return 0;
  const int hosts = hosts_of(ranks, cluster);
  const int on_host = std::min(ranks, cluster.ranks_per_host);
  const double levels = std::ceil(std::log2(hosts));
  return hops_ms(2.0 * (on_host - 1), 2 * levels, cluster) + 2 * transfer_ms(bytes, ranks, cluster);
}

double all_reduce_ms(double bytes, int ranks, const Cluster& cluster) {
  switch (cluster.all_reduce) {
    case AllReduceKind::kRing:
      return ring_ms(bytes, ranks, cluster);
    case AllReduceKind::kTree:
      return tree_ms(bytes, ranks, cluster);
    default:
      return std::min(ring_ms(bytes, ranks, cluster), tree_ms(bytes, ranks, cluster));
  }
}

double bus_gb_per_s(double bytes, int ranks, double ms) {
  return ms > 0 ? 2.0 * (ranks - 1) / ranks * bytes / (ms * 1e6) : 0;
}

// Simpson's rule over +-12 standard deviations, beyond which nothing is left of the density.
double expected_maximum(int count) {
  if (count <= 1) return 0;
  constexpr int kIntervals = 4800;
  constexpr double kEnd = 12, kStep = 2 * kEnd / kIntervals;
  double sum = 0;
  for (int i = 0; i <= kIntervals; ++i) {
    const double x = -kEnd + i * kStep;
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    const double below = std::erfc(-x / std::numbers::sqrt2) / 2;
    const double weight = i == 0 || i == kIntervals ? 1 : i % 2 == 1 ? 4 : 2;
    sum += weight * x * density * std::pow(below, count - 1);
  }
  return count * sum * kStep / 3;
}

PredictedStep predict_step(const ComputeProfile& profile, const BucketLimits& limits, int ranks,
                           const Cluster& cluster) {
  const double slowest = 1 + profile.spread * expected_maximum(ranks);
  const double backward = profile.backward_ms * slowest;
  PredictedStep step;
  const auto sum_up = [&](double bytes, double ready_ms, double free_ms) {
    const double ms = all_reduce_ms(bytes, ranks, cluster);
    step.communication_ms += ms;
    return std::max(ready_ms, free_ms) + ms;
  };
  double through = sum_up(static_cast<double>(profile.statistics_bytes), 0, 0);
  for (const GradientTime& bucket : buckets_of(profile.gradients, limits)) {
    through = sum_up(static_cast<double>(bucket.bytes) * limits.travelling_share,
                     bucket.ready_ms * slowest, through);
  }
  step.compute_ms =
      profile.wait_ms + profile.forward_ms + profile.backward_ms + profile.optimizer_ms;
  step.straggling_ms = (profile.forward_ms + profile.backward_ms) * (slowest - 1);
  step.exposed_ms = std::max(0.0, through - backward);
  step.step_ms = step.compute_ms + step.straggling_ms + step.exposed_ms;
  return step;
}

}  // namespace resnext
