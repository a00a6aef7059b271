// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/simulated_files.h"

#include <algorithm>
#include <exception>
#include <iterator>

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

uint64_t mixed(uint64_t bits) {  // splitmix64
  bits += 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

uint64_t mixed(uint64_t bits, std::string_view text) {
  for (const char c : text)
    bits = (bits ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  return mixed(bits);
}

// Without what differs between two executions: process ids behind ".partial-", random tokens.
std::string_view lasting_part(std::string_view path) {
  for (const std::string_view end : {".partial-", ".lock.", ".dead-"}) {
    path = path.substr(0, path.find(end));
  }
  return path;
}

bool stores(std::string_view call) {
  constexpr std::string_view kReading[] = {"readdir", "lstat", "stat", "read", "readlink", "age"};
  return std::ranges::find(kReading, call) == std::end(kReading);
}

bool is_about_space(int error) {
  return error == ENOSPC || error == EDQUOT;
}

}  // namespace

// ---- what becomes of a call ----

bool SimulatedFiles::begin(const char* name, const fs::path& path) {
  const Verdict verdict = judge(name, path);
  if (verdict.outcome == Outcome::kFailed || verdict.outcome == Outcome::kKilled) {
    end(verdict, name, path);
  }
  return verdict.outcome == Outcome::kDone;
}

void SimulatedFiles::end(const Verdict& verdict, const char* name, const fs::path& path) {
  if (verdict.outcome == Outcome::kFailed) throw FileError(verdict.error, path, name);
  if (std::uncaught_exceptions() > 0) throw FileError(EIO, path, name);
  throw Killed();
}

SimulatedFiles::Verdict SimulatedFiles::judge(const char* name, const fs::path& path) {
  const std::lock_guard lock(mutex_);
  calls_.push_back({name, path.native(), {}});
  return calls_.back().verdict = draw(name, path.native());
}

SimulatedFiles::Verdict SimulatedFiles::draw(std::string_view name, const std::string& path) {
  const uint64_t number = calls_.size();
  if (killed_) return {Outcome::kKilled};
  const uint64_t key = mixed(mixed(seed_, name), lasting_part(path));
  const uint64_t bits = mixed(key + ++repeats_[key]);
  const auto chance = [&](uint64_t which) {
    return static_cast<double>(mixed(bits + which) >> 11) * 0x1p-53;
  };
  const double part = chance(0);
  killed_ = number == last_;
  if (killed_) return {Outcome::kKilled, 0, part};
  if (name == "close") return {};
  if (chance(1) < faults_.waits) disk_.advance(faults_.wait_s * part);
  if (number - first_failing_ < failing_) return {Outcome::kFailed, error_, part};
  if (chance(2) < faults_.fails && (stores(name) || !is_about_space(faults_.error)))
    return {Outcome::kFailed, faults_.error, part};
  const bool lies = name.starts_with("fsync") && chance(3) < faults_.lies;
  return {lies ? Outcome::kLied : Outcome::kDone, 0, part};
}

void SimulatedFiles::set_faults(const Faults& faults) {
  const std::lock_guard lock(mutex_);
  faults_ = faults;
}

void SimulatedFiles::fail_at(uint64_t first, int error, uint64_t count) {
  const std::lock_guard lock(mutex_);
  first_failing_ = first;
  failing_ = count;
  error_ = error;
}

void SimulatedFiles::kill_at(uint64_t call) {
  const std::lock_guard lock(mutex_);
  last_ = call;
}

void SimulatedFiles::kill() {
  const std::lock_guard lock(mutex_);
  killed_ = true;
}

bool SimulatedFiles::killed() const {
  const std::lock_guard lock(mutex_);
  return killed_;
}

void SimulatedFiles::revive() {
  const std::lock_guard lock(mutex_);
  killed_ = false;
  last_ = failing_ = 0;
}

uint64_t SimulatedFiles::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

std::string SimulatedFiles::trace() const {
  const std::lock_guard lock(mutex_);
  constexpr const char* kOutcomes[] = {"", ": failed", ": did nothing", ": killed"};
  std::string text;
  for (size_t i = 0; i < calls_.size(); ++i) {
    const Call& call = calls_[i];
    text += std::to_string(i + 1) + " " + call.name + " " + call.path +
            kOutcomes[static_cast<size_t>(call.verdict.outcome)] + "\n";
  }
  return text;
}

// ---- the calls ----

class SimulatedFiles::OpenFile final : public WritableFile {
 public:
  OpenFile(SimulatedFiles& files, std::unique_ptr<WritableFile> file, fs::path path)
      : files_(files), file_(std::move(file)), path_(std::move(path)) {}

  void write(std::span<const std::byte> bytes) override {
    const Verdict verdict = files_.judge("write", path_);
    if (verdict.outcome == Outcome::kDone) return file_->write(bytes);
    const auto size = static_cast<double>(bytes.size());
    file_->write(bytes.first(static_cast<size_t>(verdict.part * size)));
    end(verdict, "write", path_);
  }
  // After one that failed the system forgets what it could not store: later ones are lies.
  void sync() override {
    const Verdict verdict = files_.judge("fsync", path_);
    if (verdict.outcome == Outcome::kFailed) forgotten_ = true;
    if (verdict.outcome == Outcome::kFailed || verdict.outcome == Outcome::kKilled) {
      end(verdict, "fsync", path_);
    }
    if (verdict.outcome == Outcome::kDone && !forgotten_) file_->sync();
  }
  void close() override {
    if (files_.begin("close", path_)) file_->close();
  }

 private:
  SimulatedFiles& files_;
  const std::unique_ptr<WritableFile> file_;
  const fs::path path_;
  bool forgotten_ = false;
};

std::vector<std::string> SimulatedFiles::list(const fs::path& folder) {
  begin("readdir", folder);
  return disk_.list(folder);
}
bool SimulatedFiles::exists(const fs::path& path) {
  begin("lstat", path);
  return disk_.exists(path);
}
uint64_t SimulatedFiles::size(const fs::path& path) {
  begin("stat", path);
  return disk_.size(path);
}
std::string SimulatedFiles::read(const fs::path& path) {
  begin("read", path);
  return disk_.read(path);
}
std::unique_ptr<WritableFile> SimulatedFiles::create(const fs::path& path) {
  begin("create", path);
  return std::make_unique<OpenFile>(*this, disk_.create(path), path);
}
std::unique_ptr<WritableFile> SimulatedFiles::append(const fs::path& path) {
  begin("append", path);
  return std::make_unique<OpenFile>(*this, disk_.append(path), path);
}
void SimulatedFiles::rename(const fs::path& from, const fs::path& to) {
  begin("rename", to);
  disk_.rename(from, to);
}
void SimulatedFiles::remove_all(const fs::path& path) {
  if (disk_.is_folder(path)) {
    for (const std::string& name : disk_.list(path)) remove_all(path / name);
  }
  begin("remove", path);
  disk_.remove_all(path);
}
void SimulatedFiles::make_folders(const fs::path& folder) {
  if (folder.has_relative_path() && !disk_.exists(folder.parent_path())) {
    make_folders(folder.parent_path());
  }
  begin("mkdir", folder);
  disk_.make_folders(folder);
}
void SimulatedFiles::make_link(const std::string& target, const fs::path& link) {
  begin("symlink", link);
  disk_.make_link(target, link);
}
std::string SimulatedFiles::read_link(const fs::path& link) {
  begin("readlink", link);
  return disk_.read_link(link);
}
void SimulatedFiles::sync_folder(const fs::path& folder) {
  if (begin("fsync folder", folder)) disk_.sync_folder(folder);
}
void SimulatedFiles::touch(const fs::path& path) {
  begin("utimensat", path);
  disk_.touch(path);
}
double SimulatedFiles::age_s(const fs::path& path) {
  begin("age", path);
  return disk_.age_s(path);
}

}  // namespace resnext::test
