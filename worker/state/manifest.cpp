// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/manifest.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "worker/state/sealed_json.h"

namespace resnext {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 2;
constexpr int kVersionWithoutChecksum = 1;

[[noreturn]] void damaged(const std::string& path, const std::string& why) {
  throw CheckpointError(path, why, "name another checkpoint, or set run.resume to auto");
}

Json to_json(const std::map<std::string, FileRecord>& files) {
  Json json = Json::object();
  for (const auto& [name, file] : files) {
    json[name] = {{"bytes", file.bytes}, {"crc32c", file.crc32c}};
  }
  return json;
}

void read_version_2(const Json& json, Manifest& manifest) {
  manifest.run = json.at("run");
  manifest.serial = json.at("serial");
  manifest.parent = json.at("parent");
  manifest.lineage = to_lineage(json.at("lineage"));
  manifest.data = to_data_record(json.at("data"));
}

Manifest to_manifest(const Json& json, int version) {
  Manifest manifest;
  if (version == kFormatVersion) read_version_2(json, manifest);
  manifest.progress = to_progress(json.at("progress"));
  manifest.best_step = json.at("progress").value("best_step", manifest.best_step);
  manifest.best_top1 = json.at("progress").value("best_top1", manifest.best_top1);
  for (const auto& [name, file] : json.at("files").items()) {
    manifest.files[name] = {file.at("bytes"), file.at("crc32c")};
  }
  return manifest;
}

template <class F>
auto checked(const std::string& path, F f) {
  try {
    return f();
  } catch (const nlohmann::json::exception& error) {
    damaged(path, error.what());
  }
}

}  // namespace

std::string to_text(const Manifest& manifest) {
  return seal({{"format_version", kFormatVersion},
               {"run", manifest.run},
               {"serial", manifest.serial},
               {"parent", manifest.parent},
               {"lineage", to_json(manifest.lineage)},
               {"progress", to_json(manifest.progress)},
               {"data", to_json(manifest.data.value_or(DataRecord{}))},
               {"files", to_json(manifest.files)}});
}

Manifest to_manifest(const std::string& text, const std::string& path) {
  return checked(path, [&] {
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) damaged(path, "is not JSON");
    const int version = json.value("format_version", 0);
    if (version == kVersionWithoutChecksum) return to_manifest(json, version);
    if (version != kFormatVersion) damaged(path, "has another format version");
    return to_manifest(unseal(text, path), version);
  });
}

std::optional<DataRecord> data_of_weights(FileSystem& files, const std::filesystem::path& weights) {
  const std::filesystem::path path = weights.parent_path() / "manifest.json";
  try {
    if (!files.exists(path)) return std::nullopt;
    const Manifest manifest = to_manifest(files.read(path), path.string());
    return manifest.files.contains(weights.filename().string()) ? manifest.data : std::nullopt;
  } catch (const std::exception&) {  // FileError, CheckpointError
    return std::nullopt;
  }
}

std::string to_text(const Accuracy& accuracy) {
  return seal({{"loss", accuracy.loss},
               {"top1", accuracy.top1},
               {"top5", accuracy.top5},
               {"images", accuracy.images}});
}

// A loss that is not finite is written as null.
Accuracy to_accuracy(const std::string& text, const std::string& path) {
  return checked(path, [&] {
    const Json json = unseal(text, path);
    const Json& loss = json.at("loss");
    return Accuracy{loss.is_null() ? NAN : loss.get<double>(), json.at("top1"), json.at("top5"),
                    json.at("images")};
  });
}

}  // namespace resnext
