// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/checkpoint.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "data/checksum.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;
constexpr const char* kPartial = ".partial-";
const char* const kTensorFiles[] = {"model.pt", "optimizer.pt"};

[[noreturn]] void cannot_write(const fs::path& path, const std::string& why) {
  throw OutputError(path.string(), "cannot be written: " + why,
                    "free space or correct the permissions, then start the run again");
}

[[noreturn]] void not_whole(const fs::path& path, const std::string& why) {
  throw CheckpointError(path.string(), why, "name another checkpoint, or set run.resume to auto");
}

std::vector<uint8_t> read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) not_whole(path, "cannot be read");
  return {std::istreambuf_iterator<char>(stream), {}};
}

void sync_path(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced) cannot_write(path, std::strerror(error));
}

Json describe_file(const fs::path& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {{"bytes", bytes.size()}, {"crc32c", crc32c(bytes)}};
}

Json to_json(const Progress& p) {
  return {{"step", p.step},
          {"epoch", p.cursor.epoch},
          {"epoch_step", p.cursor.step},
          {"global_batch", p.global_batch},
          {"best_top1", p.best_top1},
          {"best_step", p.best_step},
          {"meter_steps", p.meter_steps},
          {"meter_loss_sum", p.meter_loss_sum},
          {"loss_scale", p.loss_scale},
          {"loss_scale_steps", p.loss_scale_steps},
          {"bucket_order", p.bucket_order}};
}

Progress to_progress(const Json& json) {
  Progress p;
  p.step = json.at("step");
  p.cursor = {json.at("epoch"), json.at("epoch_step")};
  p.global_batch = json.at("global_batch");
  p.best_top1 = json.at("best_top1");
  p.best_step = json.at("best_step");
  p.meter_steps = json.at("meter_steps");
  p.meter_loss_sum = json.at("meter_loss_sum");
  p.loss_scale = json.value("loss_scale", p.loss_scale);  // since 0.2
  p.loss_scale_steps = json.value("loss_scale_steps", p.loss_scale_steps);
  p.bucket_order = json.at("bucket_order").get<std::vector<int64_t>>();
  return p;
}

void write_manifest(const fs::path& folder, const Progress& progress) {
  Json manifest = {{"format_version", kFormatVersion}, {"progress", to_json(progress)}};
  for (const char* name : kTensorFiles) manifest["files"][name] = describe_file(folder / name);
  const fs::path path = folder / "manifest.json";
  std::ofstream stream(path, std::ios::trunc);
  stream << manifest.dump(2) << '\n' << std::flush;
  if (!stream) cannot_write(path, std::strerror(errno));
  stream.close();
  sync_path(path);
}

// Renames over whatever is there; a folder of the same step is replaced.
void commit(const fs::path& partial, const fs::path& final_name) {
  std::error_code error;
  fs::remove_all(final_name, error);
  fs::rename(partial, final_name, error);
  if (error) cannot_write(final_name, error.message());
  sync_path(final_name.parent_path());
}

void point_best_to(const fs::path& folder, const std::string& name) {
  const fs::path partial = folder / fmt::format("best{}{}", kPartial, ::getpid());
  std::error_code error;
  fs::remove(partial, error);
  fs::create_symlink(name, partial, error);
  if (!error) fs::rename(partial, folder / "best", error);
  if (error) cannot_write(folder / "best", error.message());
}

Json read_manifest(const fs::path& folder) {
  const fs::path path = folder / "manifest.json";
  const std::vector<uint8_t> bytes = read_file(path);
  Json manifest = Json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (manifest.is_discarded()) not_whole(path, "is not JSON");
  if (manifest.value("format_version", 0) != kFormatVersion) {
    not_whole(path, "has another format version");
  }
  for (const char* name : kTensorFiles) {
    if (describe_file(folder / name) != manifest["files"][name]) {
      not_whole(folder / name, "differs from the size or checksum in manifest.json");
    }
  }
  return manifest;
}

// Removes what a failed save has written: it would hold the space that the next one needs.
struct Unfinished {
  fs::path path;
  ~Unfinished() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

void CheckpointFolder::save(const Checkpoint& checkpoint, int64_t keep) const {
  const std::string name = fmt::format("step-{:08}", checkpoint.progress.step);
  const fs::path partial = folder_ / fmt::format("{}{}{}", name, kPartial, ::getpid());
  std::error_code error;
  fs::remove_all(partial, error);
  fs::create_directories(partial, error);
  if (error) cannot_write(partial, error.message());
  const Unfinished unfinished{partial};  // not once it has been renamed
  save_state_dict(checkpoint.model, (partial / kTensorFiles[0]).string());
  save_state_dict(checkpoint.optimizer, (partial / kTensorFiles[1]).string());
  write_manifest(partial, checkpoint.progress);
  sync_path(partial);
  commit(partial, folder_ / name);
  if (checkpoint.progress.best_step == checkpoint.progress.step) point_best_to(folder_, name);
  remove_old(keep);
}

std::vector<fs::path> CheckpointFolder::newest_first() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.find(kPartial) == std::string::npos) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

bool CheckpointFolder::any() const {
  return !newest_first().empty();
}

// Also what a killed run has left half-written.
void CheckpointFolder::remove_old(int64_t keep) const {
  std::error_code error;
  const fs::path best = fs::read_symlink(folder_ / "best", error).filename();
  const std::vector<fs::path> whole = newest_first();
  for (size_t i = static_cast<size_t>(keep); i < whole.size(); ++i) {
    if (whole[i].filename() != best) fs::remove_all(whole[i], error);
  }
  std::vector<fs::path> torn;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().filename().string().find(kPartial) != std::string::npos) {
      torn.push_back(entry.path());
    }
  }
  for (const fs::path& path : torn) fs::remove_all(path, error);
}

std::optional<Checkpoint> CheckpointFolder::load_latest() const {
  for (const fs::path& path : newest_first()) {
    try {
      return load(path);
    } catch (const CheckpointError& error) {
      spdlog::warn("passing over a damaged checkpoint: {}", error.what());
    }
  }
  return std::nullopt;
}

Checkpoint CheckpointFolder::load(const fs::path& checkpoint) {
  Checkpoint loaded;
  try {
    loaded.progress = to_progress(read_manifest(checkpoint).at("progress"));
  } catch (const nlohmann::json::exception& error) {
    not_whole(checkpoint / "manifest.json", error.what());
  }
  loaded.model = load_state_dict((checkpoint / kTensorFiles[0]).string());
  loaded.optimizer = load_state_dict((checkpoint / kTensorFiles[1]).string());
  return loaded;
}

}  // namespace resnext
