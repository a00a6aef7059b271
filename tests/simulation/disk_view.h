// What lies in a simulated run folder, read without the code that wrote it.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/fake_learner.h"
#include "tests/simulation/simulated_disk.h"

namespace resnext::test {

struct SeenSave {
  std::string name;
  std::string run;
  int64_t serial = 0;
  int64_t line = 0;
  int64_t images = 0;  // of its data
  int64_t step = 0;
  bool validation_due = false;
  FakeWeights weights;
  std::optional<double> top1;  // of its validation.json
};

struct DiskView {
  std::vector<SeenSave> saves;         // whole step-* folders, the newest serial first
  std::set<std::string> broken;        // the other step-* folders
  std::map<int64_t, int64_t> lineage;  // line -> last serial, of lineage.json; empty: unreadable
  std::string run;                     // of lineage.json, as the next two
  int64_t line = 0;                    // the present one
  std::string origin;                  // what run.resume named when it began
  std::string best, latest;            // where the links lead
  int64_t last_serial = 0;             // of all that can be read, set aside or not
  std::map<std::string, std::vector<int64_t>> logged;  // steps of metrics.jsonl, by event

  const SeenSave* find(const std::string& name) const;
  // The save that a start with run.resume auto must take.
  const SeenSave* newest_of_line() const;
  bool holds(const SeenSave& save) const;
};

// A damaged file of a save, "step-00000012/model.pt", and what it holds since: a file of that name
// with other content was written later.
using Damages = std::map<std::string, std::string>;

// Whole snapshots on the disk of a host.
std::vector<SeenSave> snapshots_on(SimulatedDisk& host, const std::string& local);

DiskView look_at(SimulatedDisk& disk, const std::string& run_folder, const Damages& damages);

}  // namespace resnext::test
