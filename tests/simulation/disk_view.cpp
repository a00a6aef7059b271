// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/disk_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace resnext::test {
namespace {

using Json = nlohmann::json;

std::optional<double> top1_at(SimulatedDisk& disk, const std::string& path) {
  try {
    return Json::parse(disk.read(path)).at("top1").get<double>();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::optional<SeenSave> save_at(SimulatedDisk& disk, const std::string& folder,
                                const std::string& name) {
  try {
    const std::string path = folder + "/" + name;
    const Json json = Json::parse(disk.read(path + "/manifest.json"));
    SeenSave save;
    save.name = name;
    save.run = json.at("run");
    save.serial = json.at("serial");
    save.images = json.at("data").at("train").at("count");
    save.line = json.at("lineage").back().at(0);
    save.step = json.at("progress").at("step");
    save.validation_due = json.at("progress").at("validation_due");
    save.weights = to_weights(disk.read(path + "/model.pt"));
    if (to_weights(disk.read(path + "/optimizer.pt")) != save.weights) return std::nullopt;
    save.top1 = top1_at(disk, path + "/validation.json");
    return save;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void look_at_names(SimulatedDisk& disk, const std::string& folder, const Damages& damages,
                   DiskView& view) {
  for (const std::string& name : disk.list(folder)) {
    if (name.find(".partial-") != std::string::npos) continue;
    std::optional<SeenSave> save = save_at(disk, folder, name);
    const auto is_damaged = [&](const char* file) {
      const auto damage = damages.find(name + "/" + file);
      const std::string path = folder + "/" + name + "/" + file;
      return damage != damages.end() && disk.exists(path) && disk.read(path) == damage->second;
    };
    if (save && !is_damaged("manifest.json"))
      view.last_serial = std::max(view.last_serial, save->serial);
    if (!name.starts_with("step-")) continue;
    if (save && is_damaged("validation.json")) save->top1.reset();
    if (save && !is_damaged("manifest.json") && !is_damaged("model.pt") &&
        !is_damaged("optimizer.pt")) {
      view.saves.push_back(*save);
    } else {
      view.broken.insert(name);
    }
  }
  std::ranges::sort(view.saves, std::greater<>(), &SeenSave::serial);
}

void look_at_lineage(SimulatedDisk& disk, const std::string& folder, DiskView& view) {
  try {
    const Json json = Json::parse(disk.read(folder + "/lineage.json"));
    view.run = json.at("run");
    view.origin = json.at("origin");
    for (const Json& each : json.at("lineage")) {
      view.lineage[each.at(0)] = each.at(1);
      view.line = each.at(0);
    }
  } catch (const std::exception&) {
    view.lineage.clear();
  }
}

void look_at_metrics(SimulatedDisk& disk, const std::string& path, DiskView& view) {
  if (!disk.exists(path)) return;
  std::istringstream stream(disk.read(path));
  for (std::string line; std::getline(stream, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) view.logged[json.at("event")].push_back(json.at("step"));
  }
}

}  // namespace

const SeenSave* DiskView::find(const std::string& name) const {
  const auto found = std::ranges::find(saves, name, &SeenSave::name);
  return found == saves.end() ? nullptr : &*found;
}

bool DiskView::holds(const SeenSave& save) const {
  if (lineage.empty()) return true;
  const auto found = lineage.find(save.line);
  return found != lineage.end() && save.serial <= found->second;
}

const SeenSave* DiskView::newest_of_line() const {
  const auto found = std::ranges::find_if(saves, [&](const SeenSave& s) { return holds(s); });
  return found == saves.end() ? nullptr : &*found;
}

std::vector<SeenSave> snapshots_on(SimulatedDisk& host, const std::string& local) {
  std::vector<SeenSave> snapshots;
  for (const std::string& run : host.list(local)) {
    for (const std::string& name : host.list(local + "/" + run)) {
      const auto save = save_at(host, local + "/" + run, name);
      if (save && name.find(".partial-") == std::string::npos) snapshots.push_back(*save);
    }
  }
  return snapshots;
}

DiskView look_at(SimulatedDisk& disk, const std::string& run_folder, const Damages& damages) {
  DiskView view;
  const std::string folder = run_folder + "/checkpoints";
  look_at_names(disk, folder, damages, view);
  look_at_lineage(disk, folder, view);
  view.best = disk.read_link(folder + "/best");
  view.latest = disk.read_link(folder + "/latest");
  look_at_metrics(disk, run_folder + "/metrics.jsonl", view);
  return view;
}

}  // namespace resnext::test
