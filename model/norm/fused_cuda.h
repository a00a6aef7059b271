// Launches of the fused normalisation kernels: raw device pointers, sizes and a stream.
//
// Matrices [rows, channels] of `element`, dense; everything of a channel float32. Each function
// queues one to three kernels on `stream` and returns; the caller has made the pointers' device the
// current one. Sums have two stages and a fixed order: the same bits from run to run.
// Throws Error (70) when a launch is refused.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "model/norm/fused_math.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace resnext {

enum class Element { kFloat, kHalf, kBFloat16 };

struct CudaNorm {
  Element element = Element::kFloat;
  MatrixShape shape;
  const void* x = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float* statistics =
      nullptr;  // {mean, inverse deviation}[channels]; written by those of statistics
  float* workspace = nullptr;  // cuda_norm_workspace() floats
  CUstream_st* stream = nullptr;
};

struct CudaRunning {
  float* mean;  // with var null: there are none to move
  float* var;
  float momentum, eps;
};

struct CudaNormGradients {
  const void* gradient;
  const void* other;   // of a second reader of the output, or null
  const void* output;  // of Rectifier::kOfOutput only
  const float* sums;   // [2, channels] of the gradient as OutputGradients::sums, or null
  Rectifier rectifier;
  bool training;
  void* input;
  void* residual;  // null: not wanted
  float* weight;
  float* bias;
};

// Floats that the sums of a matrix need.
int64_t cuda_norm_workspace(MatrixShape shape);

// Statistics of the batch; moves the running ones, if any.
void cuda_norm_batch_statistics(const CudaNorm& norm, const CudaRunning& running);

// The same from `sums` [2, channels], over all rows of x and of its square.
void cuda_norm_statistics_of_sums(const CudaNorm& norm, const CudaRunning& running,
                                  const float* sums);

// Statistics from the running ones.
void cuda_norm_running_statistics(const CudaNorm& norm, const CudaRunning& running);

// `residual` may be null.
void cuda_norm_forward(const CudaNorm& norm, const void* residual, bool relu, void* output);

void cuda_norm_backward(const CudaNorm& norm, const CudaNormGradients& gradients);

}  // namespace resnext
