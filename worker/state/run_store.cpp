// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/run_store.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "comm/common/error.h"
#include "worker/record/writing.h"
#include "worker/state/manifest.h"
#include "worker/state/sealed_json.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Entry = CheckpointFolder::Entry;

constexpr const char* kRecord = "lineage.json";

std::string random_identity() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// Where a path leads, as text to compare.
std::string canonical(FileSystem& files, fs::path path) {
  if (!path.has_filename()) path = path.parent_path();  // a slash at the end
  std::error_code error;
  try {
    const std::string target = files.read_link(path);
    if (!target.empty()) path = path.parent_path() / target;
  } catch (const FileError&) {  // who reads it will say so
  }
  const fs::path whole = fs::weakly_canonical(path, error);
  return (error ? path : whole).lexically_normal().string();
}

}  // namespace

RunStore::RunStore(FileSystem& files, const fs::path& output, int64_t keep)
    : files_(files), folder_(files, output / "checkpoints"), keep_(keep) {}

std::optional<RunStore::Record> RunStore::read_record() const {
  const fs::path path = folder_.path() / kRecord;
  try {
    if (!files_.exists(path)) return std::nullopt;
    const auto json = unseal(files_.read(path), path.string());
    return Record{json.at("run"), to_lineage(json.at("lineage")), json.at("next_serial"),
                  json.at("origin")};
  } catch (const CheckpointError& error) {
    spdlog::warn("passed over: {}", error.what());
  } catch (const nlohmann::json::exception& error) {
    spdlog::warn("{}: passed over: {}", path.string(), error.what());
  }
  return std::nullopt;
}

void RunStore::write_record() {
  const fs::path path = folder_.path() / kRecord;
  writing(path, [&] {
    files_.make_folders_to_stay(folder_.path());
    files_.replace(path, seal({{"run", record_.run},
                               {"lineage", to_json(record_.lineage)},
                               {"next_serial", record_.next_serial},
                               {"origin", record_.origin}}));
    files_.sync_folder(folder_.path());
  });
}

// ---- find -----------------------------------------------------------------------------------

std::vector<Entry> RunStore::of_present_line() const {
  std::vector<Entry> entries = folder_.entries();
  if (!before_) return entries;
  std::erase_if(entries, [&](const Entry& entry) {
    return entry.manifest &&
           !before_->lineage.holds(entry.manifest->lineage.line(), entry.manifest->serial);
  });
  return entries;
}

std::optional<SavedState> RunStore::newest_whole() const {
  const std::vector<Entry> entries = of_present_line();
  warn_of_unreadable(entries);
  for (const Entry& entry : entries) {
    if (!entry.manifest) continue;
    try {
      return folder_.read(folder_.path() / entry.name);
    } catch (const CheckpointError& error) {
      spdlog::warn("passing over a damaged checkpoint: {}", error.what());
    }
  }
  if (entries.empty()) return std::nullopt;
  throw CheckpointError(folder_.path().string(), "holds checkpoints, and all of them are damaged",
                        "nothing was changed: repair them, name another by run.resume=PATH, or "
                        "begin anew in another run.output");
}

// They may be newer than what is found.
void RunStore::warn_of_unreadable(const std::vector<Entry>& entries) const {
  for (const Entry& entry : entries) {
    if (entry.manifest) continue;
    try {
      folder_.read(folder_.path() / entry.name);
    } catch (const CheckpointError& error) {
      spdlog::warn("passing over a damaged checkpoint: {}", error.what());
    }
  }
}

bool RunStore::is_here(const SavedState& state) const {
  return canonical(files_, state.folder.parent_path()) == canonical(files_, folder_.path());
}

SavedState RunStore::named(const std::string& path) const {
  return folder_.read(canonical(files_, path));
}

// Trouble of the file system's may pass; an older save in its place would lose updates.
std::optional<SavedState> RunStore::find(const std::string& resume, bool again) {
  try {
    return find_readable(resume, again);
  } catch (const FileError& error) {
    throw CheckpointError(folder_.path().string(),
                          std::string("its checkpoints cannot be read: ") + error.what(),
                          "nothing was changed: start again when the file system is well");
  }
}

std::optional<SavedState> RunStore::find_readable(const std::string& resume, bool again) {
  before_ = read_record();
  if (before_) record_ = *before_;
  if (resume == "auto") {
    auto newest = newest_whole();
    if (newest) record_.origin.clear();
    if (!newest && before_ && !before_->origin.empty()) newest = named(before_->origin);
    return newest;
  }
  if (resume == "none") {
    if (of_present_line().empty()) return std::nullopt;
    throw ConfigError("run.resume", "is none, but " + folder_.path().string() + " has checkpoints",
                      "set run.resume to auto, or run.output to another folder");
  }
  if (again && before_ && before_->origin == canonical(files_, resume)) {
    if (auto newest = newest_whole()) return newest;
  }
  SavedState state = named(resume);
  const std::vector<Entry> entries = of_present_line();
  const bool ours = is_here(state);
  continues_ = ours && !entries.empty() && entries.front().name == state.folder.filename().string();
  record_.origin = canonical(files_, resume);
  return state;
}

RunIdentity RunStore::present(const std::optional<SavedState>& from) const {
  if (before_) return {record_.run, before_->lineage};
  return from ? RunIdentity{from->manifest.run, from->manifest.lineage} : RunIdentity{};
}

// ---- begin ----------------------------------------------------------------------------------

void RunStore::begin(const std::optional<SavedState>& from, const RunIdentity& lost) {
  writing(folder_.path(), [&] { take_over(from, lost); });
}

void RunStore::take_over(const std::optional<SavedState>& from, const RunIdentity& lost) {
  const int64_t last = folder_.last_serial();
  record_.next_serial = std::max(record_.next_serial, last + 1);
  if (record_.run.empty()) record_.run = from ? from->manifest.run : lost.run;
  if (record_.run.empty()) record_.run = random_identity();
  if (!from) record_.origin.clear();
  record_.lineage = line_after(from, lost);
  write_record();
  if (from && is_here(*from)) {
    head_ = {from->folder.filename().string(), from->manifest.serial,
             from->manifest.progress.position.epoch};
  }
  set_aside_others(from);
  folder_.remove_unfinished();
  choose_best();
  folder_.point("latest", head_.name);
  folder_.point("best", best_);
}

// The present line, or a new one. Serials of another run say nothing about the saves here.
Lineage RunStore::line_after(const std::optional<SavedState>& from, const RunIdentity& lost) {
  if (continues_ && before_) return before_->lineage;
  if (!from) return lost.lineage.open();
  const Manifest& manifest = from->manifest;
  if (continues_) return manifest.lineage.open();
  const int64_t id = record_.next_serial++;
  return is_here(*from) ? manifest.lineage.at(manifest.serial).branch(id) : Lineage(id);
}

// What is newer than the present place was damaged, or is of another line.
void RunStore::set_aside_others(const std::optional<SavedState>& from) {
  bool newer = true;
  for (const Entry& entry : folder_.entries()) {
    if (entry.name == head_.name) {
      newer = false;
      continue;
    }
    const bool held = entry.manifest &&
                      record_.lineage.holds(entry.manifest->lineage.line(), entry.manifest->serial);
    if (held && !newer) continue;
    left_ = left_ || !continues_;
    folder_.set_aside(entry);
  }
}

void RunStore::choose_best() {
  best_.clear();
  best_top1_ = -1;
  best_epoch_ = -1;
  std::vector<Entry> entries = folder_.entries();
  std::ranges::reverse(entries);  // of equals the first
  for (const Entry& entry : entries) {
    if (!folder_.has_all_files(entry)) continue;
    const auto& found = entry.validation;
    double top1 = found && std::isfinite(found->loss) ? found->top1 : -1;
    if (entry.manifest->best_step == entry.manifest->progress.step)
      top1 = entry.manifest->best_top1;
    if (top1 <= best_top1_) continue;
    best_ = entry.name;
    best_top1_ = top1;
    best_epoch_ = entry.manifest->progress.position.epoch;
  }
}

// ---- save -----------------------------------------------------------------------------------

void RunStore::save(const Progress& progress, const DataRecord& data,
                    const std::vector<SavedFile>& files) {
  Manifest manifest;
  manifest.run = record_.run;
  manifest.serial = record_.next_serial++;
  manifest.parent = head_.serial;
  manifest.lineage = record_.lineage.at(manifest.serial);
  manifest.progress = progress;
  manifest.data = data;
  write_record();
  const int64_t serial = manifest.serial;
  head_ = {folder_.write(std::move(manifest), files), serial, progress.position.epoch};
  folder_.point("latest", head_.name);
  remove_old();
}

bool RunStore::validated(const Accuracy& accuracy) {
  if (head_.name.empty()) return false;  // the place was saved in another run's folder
  folder_.write_validation(head_.name, accuracy);
  if (!std::isfinite(accuracy.loss) || accuracy.top1 <= best_top1_) return false;
  best_ = head_.name;
  best_top1_ = accuracy.top1;
  best_epoch_ = head_.epoch;
  folder_.point("best", best_);
  return true;
}

// Not removing is never a reason to fail.
void RunStore::remove_old() try {
  int64_t whole = 0;
  for (const Entry& entry : folder_.entries()) {
    const bool needed = entry.name == head_.name || entry.name == best_;
    if (whole >= keep_ && !needed) folder_.remove(entry.name);
    if (folder_.has_all_files(entry)) ++whole;
  }
} catch (const FileError&) {
}

LoggedSaves RunStore::saves() const {
  const auto path = [&](const std::string& name) {
    return name.empty() ? fs::path() : folder_.path() / name;
  };
  return {path(head_.name), path(best_), best_top1_};
}

}  // namespace resnext
