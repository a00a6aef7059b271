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
  kFlakyFiles,     // rank 0's file calls fail now and then
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
  kLoseAll,    // the run folder is gone; hosts have what they have
};

struct Start {
  int64_t global_batch() const { return per_rank * accumulation * ranks; }

  int ranks = 1;
  int64_t per_rank = 1;
  int64_t accumulation = 1;
  int host_ranks = 1;  // that share a host
  int first_host = 0;
  // What a restart by the launcher keeps of the start before.
  int64_t images = 0;
  bool accept_new_data = false;
  uint64_t seed = 0;  // run.seed
  int64_t epochs = 1;
  int64_t steps = 0;  // run.steps
  int64_t save_steps = 0;
  double save_epochs = 0;

  Meddling meddling = Meddling::kNone;
  Mishap mishap = Mishap::kNone;
  int rank = 0;          // of the mishap
  int64_t at = 0;        // step, or call of the file system
  int error = 0;         // of kFailCall
  bool power = false;    // is lost after a kill, not only the process
  bool asked = false;    // a stop comes from the user, who wants no restart
  bool early = false;    // it ends within seconds
  int64_t save_lag = 0;  // steps that a save is being written
  uint64_t draw = 0;     // for choices that depend on what is there
};

inline constexpr int kHosts = 4;
inline constexpr const char* kLocalFolder = "/local";  // of a host, for snapshots

struct History {
  uint64_t seed = 0;
  RunConfig config;
  int max_restarts = 0;  // of the launcher
  bool not_finite = false;
  int64_t steps_ahead = 0;
  std::vector<Start> starts;  // then starts without mishaps follow until the run ends
};

History draw_history(uint64_t seed);

// For people: one line a start.
std::string describe(const Start& start);
std::string describe(const History& history);

}  // namespace resnext::test
