// The vector loops of LARS and LAMB on the CPU, for the machine's best vector unit.
//
// Arrays of `n` float32 that begin at cache lines and fill whole ones (comm/common/buckets.h), as
// parts of buckets do; numbers that are the same for all elements are float64 and are rounded once.
// Sums are float64. Highway compiles each loop for several instruction sets and picks one at run
// time. Local; thread-safe on distinct outputs.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace resnext {

struct LambFactors {
  double gradient;      // g counts so often
  double beta1, beta2;  // of the averages
  double of_m, of_v;    // 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  double eps, weight_decay;
};

struct LarsFactors {
  double gradient, weight;  // change = gradient * g + weight * w
  double momentum;
  bool nesterov;
};

struct LayerwiseLoops {
  double (*sum_of_squares)(const float* x, int64_t n);

  // m = momentum * m + change;  w -= nesterov ? change + momentum * m : m
  void (*lars)(const LarsFactors& factors, const float* g, float* m, float* w, int64_t n);

  // m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2;
  // u = of_m * m / (of_v * sqrt(v) + eps) + weight_decay * w, which takes the gradients' place.
  void (*lamb_change)(const LambFactors& factors, float* g_then_u, float* m, float* v,
                      const float* w, int64_t n);

  // w -= factor * u
  void (*subtract)(double factor, const float* u, float* w, int64_t n);
};

LayerwiseLoops layerwise_loops();

}  // namespace resnext
