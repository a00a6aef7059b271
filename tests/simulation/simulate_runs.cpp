// simulate_runs FIRST COUNT [PROCESSES [SHOWN]]: simulates whole runs, one a seed; 1 when any broke
// a rule. Each of the processes ends after so many that did (5), since more would say the same.
// SPDX-License-Identifier: BSD-3-Clause
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/simulation/run_simulation.h"

namespace {

using namespace resnext::test;

// Every `of`-th seed from `first` on.
int simulate_some(uint64_t first, uint64_t end, uint64_t of, uint64_t shown) {
  uint64_t failed = 0;
  for (uint64_t seed = first; seed < end; seed += of) {
    const std::string broken = simulate(draw_history(seed));
    if (broken.empty()) continue;
    std::printf("%s  again: SIMULATION_LOG=1 simulate_runs %llu 1\n", broken.c_str(),
                static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    if (++failed == shown) break;
  }
  return failed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: simulate_runs FIRST COUNT [PROCESSES [SHOWN]]\n");
    return 64;
  }
  const uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const uint64_t count = std::strtoull(argv[2], nullptr, 10);
  const uint64_t processes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  const uint64_t shown = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 5;
  if (std::getenv("SIMULATION_LOG") == nullptr) spdlog::set_level(spdlog::level::off);
  for (uint64_t i = 0; i < processes; ++i) {
    if (::fork() == 0) return simulate_some(first + i, first + count, processes, shown);
  }
  int failed = 0;
  for (int status = 0; ::wait(&status) > 0;) failed |= status != 0 ? 1 : 0;
  std::printf("%llu seeds from %llu: %s\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(first), failed ? "BROKEN" : "all rules held");
  return failed;
}
