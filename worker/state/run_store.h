// The saves of one run: which one a start goes on from, what is written, kept, and called the best.
//
// Only rank 0 has one, under the run folder's lock. CHECKPOINTS/lineage.json names the run, the
// present line of saves (lineage.h) and the next serial number, so that going back to an older save
// holds from its first moment on. Never removed: what was just written, what the next start would
// take, the best. Local; one thread at a time.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker/record/run_log.h"
#include "worker/state/checkpoint_folder.h"
#include "worker/state/local_snapshots.h"

namespace resnext {

class RunStore {
 public:
  // Of the run folder `output`; keeps the newest `keep` saves besides the best. Changes nothing.
  RunStore(FileSystem& files, const std::filesystem::path& output, int64_t keep);

  // The save that `resume` names: the newest whole one of the present line, or where the line began
  // in another run (auto), none, or one by its path. `again`: this start repeats an earlier one by
  // itself (a restart, a requeued job), so that a path which the present line came from means the
  // line's newest. Damaged ones are named in a warning and passed over. Throws CheckpointError when
  // there are saves and all are damaged, or when the file system fails; ConfigError when `none`
  // would mix two runs.
  std::optional<SavedState> find(const std::string& resume, bool again);

  // The run and the line that `from`, what find("auto") gave, is gone on with; its run is empty
  // when the folder knows of none. After find().
  RunIdentity present(const std::optional<SavedState>& from) const;

  // The start stands: its line is the present one from here on, what does not belong to it is set
  // aside, links are put right. After find(). Throws OutputError.
  // `lost`: of a snapshot that goes on with a run of which nothing else is left; else empty.
  void begin(const std::optional<SavedState>& from, const RunIdentity& lost = {});
  // begin() left another line behind.
  bool left_a_line() const { return left_; }

  // Writes a save. Throws OutputError; what was there stays.
  void save(const Progress& progress, const DataRecord& data, const std::vector<SavedFile>& files);
  // The validation of the place that was saved last. True: the best so far. Throws OutputError.
  bool validated(const Accuracy& accuracy);

  RunIdentity identity() const { return {record_.run, record_.lineage}; }
  // Serial of the newest save of this line; 0: there is none.
  int64_t serial() const { return head_.serial; }
  double best_top1() const { return best_top1_; }  // percent; -1: none
  // Epochs that were behind the best; -1: there is none.
  int64_t best_epoch() const { return best_epoch_; }
  LoggedSaves saves() const;

 private:
  struct Head {
    std::string name;
    int64_t serial = 0;
    int64_t epoch = 0;  // of its place
  };
  struct Record {
    std::string run;
    Lineage lineage;
    int64_t next_serial = 1;
    std::string origin;  // what run.resume named, until a start with auto goes on in the line
  };

  std::optional<Record> read_record() const;
  void write_record();
  std::vector<CheckpointFolder::Entry> of_present_line() const;
  std::optional<SavedState> newest_whole() const;
  std::optional<SavedState> find_readable(const std::string& resume, bool again);
  void warn_of_unreadable(const std::vector<CheckpointFolder::Entry>& entries) const;
  Lineage line_after(const std::optional<SavedState>& from, const RunIdentity& lost);
  SavedState named(const std::string& path) const;
  bool is_here(const SavedState& state) const;
  void take_over(const std::optional<SavedState>& from, const RunIdentity& lost);
  void set_aside_others(const std::optional<SavedState>& from);
  void choose_best();
  void remove_old();

  FileSystem& files_;
  CheckpointFolder folder_;
  int64_t keep_;
  std::optional<Record> before_;  // as it was found
  Record record_;
  bool continues_ = true;  // the present line
  bool left_ = false;
  Head head_;
  std::string best_;
  double best_top1_ = -1;
  int64_t best_epoch_ = -1;
};

}  // namespace resnext
