// SPDX-License-Identifier: BSD-3-Clause
#include "worker/device/instruction_set.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

namespace resnext {
namespace {

struct Level {
  InstructionSet set;
  std::string_view flag;   // of the processor
  std::string_view limit;  // least one of oneDNN's that lets it be used
};

// From the best down.
constexpr std::array kLevels = {
    Level{{"AMX", true}, "amx_bf16", "AVX512_CORE_AMX"},
    Level{{"AVX-512 BF16", true}, "avx512_bf16", "AVX512_CORE_BF16"},
    Level{{"AVX-512", false}, "avx512bw", "AVX512_CORE"},
    Level{{"AVX2", false}, "avx2", "AVX2"},
};

// oneDNN's, in ascending order.
constexpr std::array<std::string_view, 12> kLimits = {"SSE41",
                                                      "AVX",
                                                      "AVX2",
                                                      "AVX2_VNNI",
                                                      "AVX2_VNNI_2",
                                                      "AVX512_CORE",
                                                      "AVX512_CORE_VNNI",
                                                      "AVX512_CORE_BF16",
                                                      "AVX512_CORE_FP16",
                                                      "AVX512_CORE_AMX",
                                                      "AVX512_CORE_AMX_FP16",
                                                      "DEFAULT"};

auto place_of(std::string_view limit) {
  const auto found = std::ranges::find(kLimits, limit);
  return found == kLimits.end() ? kLimits.size() : static_cast<size_t>(found - kLimits.begin());
}

bool has_word(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '\t';
    if (begins && (end == text.size() || text[end] == ' ')) return true;
  }
  return false;
}

}  // namespace

InstructionSet instruction_set_of(std::string_view flags, std::string_view limit) {
  for (const Level& level : kLevels) {
    if (has_word(flags, level.flag) && place_of(level.limit) <= place_of(limit)) return level.set;
  }
  return {"SSE or other", false};
}

InstructionSet instruction_set() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) {
  }
  const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  return instruction_set_of(file ? line : "", limit == nullptr ? "" : limit);
}

}  // namespace resnext
