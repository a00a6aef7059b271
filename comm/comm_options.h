// Options of the communication layer: which backend, how gradients are bucketed.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext {

enum class Backend { kAuto, kMpi, kNccl };
enum class Compression { kNone, kBf16 };

struct CommOptions {
  Backend backend = Backend::kAuto;  // auto: nccl where every rank has a GPU, else mpi
  // Gradients are summed in buckets of this size; the first is small so that communication starts
  // early. Both figures: PyTorch DDP, torch/csrc/distributed/c10d/reducer.hpp.
  double bucket_mib = 25;
  double first_bucket_mib = 1;
  // Type that gradients travel in. bf16: half the bytes, for sums of 8 significant bits; of float32
  // gradients only.
  Compression compress = Compression::kNone;
  double timeout_s = 600;  // a collective that takes longer is taken for a lost peer (exit 76)
};

}  // namespace resnext
