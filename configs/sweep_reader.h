// Reads a sweep file: a base configuration and what is to be varied in it.
//
//   base: ../resnext50_32x4d.yaml       # beside the sweep file
//   output: runs/cardinality            # folder of the sweep; each trial has a folder in it
//   name: "{model.cardinality}x{model.base_width}d"   # of a trial; default: from the varied keys
//   metric: {name: top1, goal: max}     # of the last validation: top1, top5 or loss; ema_top1, ...
//   match: parameters                   # or gmac: solve model.base_width for each cardinality
//   set: {run.epochs: 10}               # for all trials
//   grid: {model.cardinality: [1, 2], run.seed: [1, 2]}   # every combination
//   zip: {optimizer.base_lr: [0.1, 0.2], schedule.warmup_epochs: [0, 5]}   # first with first, ...
//   exclude: [{model.cardinality: 2, run.seed: 2}]
//   repeats: 3                          # of each, over seeds: run.seed, run.seed + 1, ...
//   stop: {metric: top1, rungs: [5, 15], keep: 0.5}   # successive halving (sweep_halving.h)
//
// Keys and values are checked here, each by itself, against the table of configuration keys; whole
// configurations are checked when trials are made of them. Local. Throws ConfigError with the line.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace resnext {

enum class Match { kNone, kParameters, kGmac };
enum class Goal { kMax, kMin };

// One varied key. Values are YAML in their shortest form, as an override takes them.
struct SweepAxis {
  std::string key;
  std::string where;  // FILE:LINE:COLUMN
  std::vector<std::string> values;
};

// Successive halving: after each rung the better part goes on.
struct StopRule {
  std::string metric = "top1";
  Goal goal = Goal::kMax;
  std::vector<int64_t> rungs;  // epochs, ascending; empty: nothing is stopped
  double keep = 0.5;           // of those that reach a rung, 0 to 1
  std::string where;           // FILE:LINE:COLUMN
};

struct SweepFile {
  std::string path;
  std::string name;  // the file's, without folder and ending
  std::string base;  // path of the base configuration
  std::string output;
  std::string name_template;
  std::string name_where;
  std::string metric = "top1";
  Goal goal = Goal::kMax;
  Match match = Match::kNone;
  std::string match_where;
  std::vector<std::string> set;                             // overrides, KEY=VALUE
  std::vector<SweepAxis> grid;                              // in the file's order
  std::vector<SweepAxis> zip;                               // lists of one length
  std::vector<std::map<std::string, std::string>> exclude;  // key -> value
  int repeats = 1;                                          // over seeds
  StopRule stop;
};

SweepFile read_sweep(const std::string& file);

}  // namespace resnext
