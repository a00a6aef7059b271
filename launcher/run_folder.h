// What a run has left in its folder: how far it came, what it measured, how it ended.
//
// Reads what the worker writes (metrics.jsonl, checkpoints/step-XXXXXXXX) and takes it as it finds
// it: lines that a killed run did not finish are passed over, and of two lines of one step the
// later counts, since a resumed run repeats steps. Local; missing files read as nothing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace resnext {

// A complete checkpoint. The serial number grows with each that a run saves, also where steps go
// back; one that was saved without counts by its step.
struct CheckpointMark {
  int64_t serial = -1;  // -1: there is none
  int64_t step = -1;
};

// The one of the highest serial number.
CheckpointMark newest_checkpoint(const std::filesystem::path& run_folder);

// One line of metrics.jsonl: its figures by name ("loss", "lr", "forward_ms", "top1", ...).
using Figures = std::map<std::string, double>;

// A start or an end of the run.
struct RunMark {
  int64_t step = 0;
  std::optional<int> exit_code;  // of an end
};

struct RunMetrics {
  std::map<int64_t, Figures> train;       // by step
  std::map<int64_t, Figures> validation;  // by step; of the average of weights as ema_top1, ...
  Figures start;                          // of the last start: parameters, gmac, world_size, ...
  std::map<std::string, std::string> versions;  // of the last start: resnext, libtorch
  std::vector<RunMark> marks;                   // every start and end, in order
  std::optional<int> exit_code;                 // of the last end; none: still running, or killed
  bool paused = false;                          // that end was run.pause_epoch's
  int64_t unreadable_lines = 0;

  bool finished() const { return exit_code == 0 && !paused; }
  int64_t last_step() const { return train.empty() ? 0 : train.rbegin()->first; }
  // The last validation's figure; none when it is not there.
  std::optional<double> final_figure(const std::string& name) const;
  // Of all validations the highest, with its step; none when it is not there.
  std::optional<std::pair<double, int64_t>> highest_figure(const std::string& name) const;
};

// Of more train lines than `max_train_lines` only so many are read, evenly spaced, the first and
// the last among them; all other events are. What was read costs, not what is there.
RunMetrics read_metrics(const std::filesystem::path& run_folder, size_t max_train_lines = 2000);

// read_metrics(run_folder).finished(), from the end of the file alone.
bool has_finished(const std::filesystem::path& run_folder);

}  // namespace resnext
