// Which GPU a rank works on, and whether the ranks' choices go together. Knows no CUDA: pure.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace resnext {

// What a rank says of itself to the others; plain bytes, sent as they are.
struct RankDevice {
  int host = 0;  // equal on ranks of one host: the lowest rank there
  int local_rank = 0;
  int local_size = 1;
  int visible = 0;        // GPUs that the rank sees
  char bus_id[32] = "";   // PCI bus id of its GPU, e.g. 0000:65:00.0; empty without one
  char problem[96] = "";  // why it sees none, in CUDA's words
};

// Device index for a rank that sees `visible` GPUs: its local rank; 0 where each rank was given one
// GPU of its own. `share`: GPUs are dealt out again when there are too few. Nothing when there is
// none left for it.
std::optional<int> device_of(int local_rank, int visible, bool share);

// CUDA shows a process only the first of several MIG slices (NVIDIA's MIG User Guide, "CUDA Device
// Enumeration"). What CUDA_VISIBLE_DEVICES must be for a rank to see its own; nothing where
// `visible`, the variable's text, names no slices, or has none left for it.
std::optional<std::string> own_slice(std::string_view visible, int local_rank);

// Throws ConfigError, the same on every rank, when a rank has no GPU or, without `share`, two ranks
// have the same. `ranks`: by rank.
void check_devices(const std::vector<RankDevice>& ranks, bool share);

}  // namespace resnext
