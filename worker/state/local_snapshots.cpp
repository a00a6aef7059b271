// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/local_snapshots.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "worker/state/sealed_json.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& local, const fs::path& output) {
  const std::string path = fs::absolute(output).lexically_normal().string();
  const auto* bytes = reinterpret_cast<const uint8_t*>(path.data());
  return local / fmt::format("resnext-{:08x}", crc32c({bytes, path.size()}));
}

bool belongs(const Manifest& manifest, const RunIdentity& identity) {
  if (identity.run.empty()) return true;
  return manifest.run == identity.run && manifest.lineage.line() == identity.lineage.line();
}

}  // namespace

std::string to_text(const RunIdentity& identity) {
  return seal({{"run", identity.run}, {"lineage", to_json(identity.lineage)}});
}

RunIdentity to_identity(const std::string& text) {
  const auto json = unseal(text, "identity of the run");
  return {json.at("run"), to_lineage(json.at("lineage"))};
}

LocalSnapshots::LocalSnapshots(FileSystem& files, const fs::path& local, const fs::path& output)
    : folder_(files, folder_of(local, output)) {}

std::optional<SavedState> LocalSnapshots::newest(const RunIdentity& identity, int64_t step) const {
  std::optional<SavedState> newest;
  try {
    for (const auto& entry : folder_.entries()) {
      if (!entry.manifest || !belongs(*entry.manifest, identity)) continue;
      if (entry.manifest->progress.step <= step) continue;
      newest = folder_.read(folder_.path() / entry.name);
      step = newest->manifest.progress.step;
    }
  } catch (const std::exception&) {  // damaged: as if there were none
  }
  return newest;
}

void LocalSnapshots::write(const RunIdentity& identity, const Progress& progress,
                           const DataRecord& data, const std::vector<SavedFile>& files) {
  Manifest manifest;
  manifest.run = identity.run;
  manifest.lineage = identity.lineage;
  manifest.progress = progress;
  manifest.data = data;
  folder_.remove_unfinished();
  const std::string name = folder_.write(std::move(manifest), files);
  for (const auto& entry : folder_.entries()) {
    if (entry.name != name) folder_.remove(entry.name);
  }
}

}  // namespace resnext
