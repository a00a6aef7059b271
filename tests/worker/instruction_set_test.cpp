// Flags of processors as /proc/cpuinfo shows them.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/instruction_set.h"

#include <gtest/gtest.h>

namespace resnext {
namespace {

constexpr const char* kSapphireRapids =
    "flags\t\t: fpu avx avx2 avx512f avx512bw avx512_bf16 avx512_fp16 amx_bf16 amx_tile";
constexpr const char* kCooperLake = "avx2 avx512bw avx512_bf16";
constexpr const char* kSkylake = "avx2 avx512f avx512bw";

TEST(InstructionSet, OfProcessors) {
  EXPECT_EQ(instruction_set_of(kSapphireRapids, "").name, "AMX");
  EXPECT_EQ(instruction_set_of(kCooperLake, "").name, "AVX-512 BF16");
  EXPECT_TRUE(instruction_set_of(kCooperLake, "").has_bf16);
  EXPECT_EQ(instruction_set_of(kSkylake, "").name, "AVX-512");
  EXPECT_FALSE(instruction_set_of(kSkylake, "").has_bf16);
  EXPECT_EQ(instruction_set_of("sse4_2 avx2 fma", "").name, "AVX2");
  EXPECT_EQ(instruction_set_of("avx2_other", "").name, "SSE or other");
  EXPECT_EQ(instruction_set_of("", "").name, "SSE or other");
}

TEST(InstructionSet, AsFarAsTheUserLetsIt) {
  EXPECT_EQ(instruction_set_of(kSapphireRapids, "AVX512_CORE_FP16").name, "AVX-512 BF16");
  EXPECT_EQ(instruction_set_of(kSapphireRapids, "AVX512_CORE").name, "AVX-512");
  EXPECT_EQ(instruction_set_of(kSapphireRapids, "AVX2").name, "AVX2");
  EXPECT_EQ(instruction_set_of(kSapphireRapids, "SSE41").name, "SSE or other");
  EXPECT_EQ(instruction_set_of(kSapphireRapids, "nonsense").name, "AMX");
}

}  // namespace
}  // namespace resnext
