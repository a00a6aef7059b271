// What happens to one simulated run: a few starts, and what goes wrong in and between them.
//
// Drawn from a seed alone. Plain data.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace resnext::test {

enum class Mishap {
  kNone,
  kKillRank,        // a rank dies in a step
  kKillFiles,       // rank 0 dies in a file call
  kKillValidation,  // rank 0 dies in a validation
  kFailCall,        // a file call of rank 0 fails
  kFullDisk,
  kStop,           // a rank is asked to stop
  kFlipWeights,    // a bit of one rank's weights changes
  kBadValidation,  // an image of the validation split is damaged
};

// What is done to the folder before a start.
enum class Meddling {
  kNone,
  kFlipBit,  // of a file of a save
  kTruncate,
  kRenameBest,  // the link
  kRemoveBest,
  kPointBest,  // to another save
  kGoBack,     // this start names an older save
  kDamageAll,  // every save
};

struct Start {
  int ranks = 1;
  int64_t per_rank = 1;
  int64_t accumulation = 1;
  Meddling meddling = Meddling::kNone;
  Mishap mishap = Mishap::kNone;
  int rank = 0;          // of the mishap
  int64_t at = 0;        // step, or call of the file system
  int error = 0;         // of kFailCall
  bool power = false;    // is lost after a kill, not only the process
  int64_t save_lag = 0;  // steps that a save is being written
  uint64_t draw = 0;     // for choices that depend on what is there
};

struct History {
  uint64_t seed = 0;
  int64_t images = 0;
  RunConfig config;
  bool not_finite = false;
  int64_t steps_ahead = 0;
  std::vector<Start> starts;  // then starts without mishaps follow until the run ends
};

History draw_history(uint64_t seed);

// For people: one line a start.
std::string describe(const History& history);

}  // namespace resnext::test
