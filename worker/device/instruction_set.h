// With which instructions this processor multiplies matrices, as far as oneDNN may use them.
//
// What oneDNN does with bfloat16 on which processor: its documentation, "Data types" (bf16 is
// emulated below AVX512_CORE_BF16) and "CPU dispatcher control" (ONEDNN_MAX_CPU_ISA). Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace resnext {

struct InstructionSet {
  std::string_view name;  // "AMX", "AVX-512 BF16", "AVX-512", "AVX2", "SSE or other"
  bool has_bf16 = false;  // multiplies bfloat16 as such
};

// `flags`: the processor's, as /proc/cpuinfo has them on one line. `limit`: ONEDNN_MAX_CPU_ISA,
// empty for none; an unknown one is none.
InstructionSet instruction_set_of(std::string_view flags, std::string_view limit);

// Of this machine.
InstructionSet instruction_set();

}  // namespace resnext
