// Predicts the time of a data-parallel training step on many ranks.
//
// Messages. A message of S bytes takes latency + S / bandwidth (Hockney, "The communication
// challenge for MPP", Parallel Computing 20(3), 1994). An all_reduce of S bytes over n ranks, g of
// them on each of h = n / g hosts, with latency a and bandwidth B inside (i) and between (b) hosts:
//   ring  2 (n - 1) / n ((n - h) a_i + h a_b) + 2 (n - 1) / n S / B, with one host 2 (n - 1) a_i
//         + ... Thakur, Rabenseifner and Gropp, "Optimization of collective communication
//         operations in MPICH" (IJHPCA 19(1), 2005), section 4: reduce-scatter and all-gather
//         around a ring, here one that leaves each host once; Patarasuk and Yuan (JPDC 69(2), 2009)
//         for its bandwidth, which none can exceed.
//   tree  2 ((g - 1) a_i + ceil(log2 h) a_b) + 2 S / B
//         Chains within hosts and two binary trees between them, each for half of the bytes
//         (Sanders, Speck and Träff, "Two-tree algorithms for full bandwidth broadcast, reduction
//         and scan", Parallel Computing 35(12), 2009), as NCCL has them since 2.4 (Jeaugey,
//         "Massively scale your deep learning training with NCCL 2.4", NVIDIA 2019).
// B is that of the slowest hop. `between` is a host's, of all its network cards together: the ring
// or tree is laid once for each card.
//
// Overlap. Buckets are formed as in comm/common/buckets.h; one starts when its last gradient is
// ready and the one before it is through, as in comm/gradient_reducer.h. Before them the batch's
// statistics are summed, from the begin of backward on.
//
// Stragglers. Ranks wait for the slowest of n. Where a rank's computing time has the relative
// standard deviation s around the mean, normally distributed and independently of the others, the
// slowest takes 1 + s E_n times the mean, E_n = n integral of x f(x) F(x)^(n-1) dx over all x, f
// and F the density and distribution of the standard normal (David and Nagaraja, "Order
// statistics", 2003, section 3.1).
//
// Checked against real runs over emulated links by tests/benchmarks/emulated_cluster.py.
//
// Pure functions; times in milliseconds, bandwidths in 1e9 bytes a second.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace resnext {

struct Link {
  double latency_us = 0;
  double gb_per_s = 1;
};

enum class AllReduceKind { kFastest, kRing, kTree };

struct Cluster {
  int ranks_per_host = 1;
  Link inside, between;
  AllReduceKind all_reduce = AllReduceKind::kFastest;
};

// 0 for one rank. `ranks` beyond one host's count as whole hosts.
double ring_ms(double bytes, int ranks, const Cluster& cluster);
double tree_ms(double bytes, int ranks, const Cluster& cluster);
double all_reduce_ms(double bytes, int ranks, const Cluster& cluster);

// Bytes a second that each link carries at this time, in 1e9: 2 (n - 1) / n S / t, as nccl-tests
// (doc/PERFORMANCE.md) compares sums over any number of ranks with the hardware.
double bus_gb_per_s(double bytes, int ranks, double ms);

// E_n above; 0 for one.
double expected_maximum(int count);

// A parameter's gradient.
struct GradientTime {
  double ready_ms = 0;  // after the begin of backward
  int64_t bytes = 0;    // padded
};

// A step of one rank without others.
struct ComputeProfile {
  double wait_ms = 0;  // for data
  double forward_ms = 0;
  double backward_ms = 0;
  double optimizer_ms = 0;
  double spread = 0;                    // relative standard deviation
  std::vector<GradientTime> gradients;  // in the order in which they become ready
  int64_t statistics_bytes = 0;
};

struct BucketLimits {
  int64_t first_bytes = 0, bytes = 0;
  double travelling_share = 1;  // of a gradient's bytes: 0.5 where they travel as bfloat16
};

struct PredictedStep {
  double step_ms = 0;
  double compute_ms = 0;        // of the mean rank
  double straggling_ms = 0;     // what the slowest takes longer
  double communication_ms = 0;  // of all buckets and the statistics, hidden or not
  double exposed_ms = 0;        // from the end of backward until the last sum
};

PredictedStep predict_step(const ComputeProfile& profile, const BucketLimits& limits, int ranks,
                           const Cluster& cluster);

}  // namespace resnext
