// What a disk loses with its power and by age, and what a test sees of it.
// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
#include <utility>

#include "tests/simulation/simulated_disk.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSector = 512;  // bytes that are written together

}  // namespace

double SimulatedDisk::now_s() const {
  const std::lock_guard lock(mutex_);
  return now_s_;
}

void SimulatedDisk::advance(double seconds) {
  const std::lock_guard lock(mutex_);
  now_s_ += seconds;
}

void SimulatedDisk::limit(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

uint64_t SimulatedDisk::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

// In [0, below).
uint64_t SimulatedDisk::draw(uint64_t below) {
  return random_() % below;
}

void SimulatedDisk::lose_power() {
  const std::lock_guard lock(mutex_);
  keep_some_changes();
  used_ = 0;
  restore(*root_);
}

// A third of the losses keeps no change, a third each; the others stop somewhere in each folder.
void SimulatedDisk::keep_some_changes() {
  constexpr uint64_t kSure = 100;
  const uint64_t chances[] = {0, kSure, 1 + draw(kSure - 1)};
  const uint64_t chance = chances[draw(3)];
  std::set<const Node*> stopped;
  for (const Operation& operation : unsynced_) {
    const bool reached = std::ranges::none_of(
        operation, [&](const Change& change) { return stopped.contains(change.folder.get()); });
    if (reached && draw(kSure) < chance) {
      store(operation);
    } else {
      for (const Change& change : operation) stopped.insert(change.folder.get());
    }
  }
  unsynced_.clear();
}

void SimulatedDisk::restore(Node& folder) {
  folder.names = folder.stored;
  for (const auto& [name, child] : folder.names) {
    if (child->is_folder()) restore(*child);
    if (child->kind == Node::Kind::kFile) tear(*child);
    child->named = true;
    used_ += child->bytes.size();
  }
}

void SimulatedDisk::tear(Node& file) {
  const std::string before = file.before.value_or(file.bytes.substr(0, file.synced));
  std::string& bytes = file.bytes;
  const size_t unsynced = bytes.size() - file.synced;
  const size_t point = file.synced + (unsynced > 0 ? draw(unsynced) : 0);
  if (unsynced > 0 || file.before) {
    switch (draw(5)) {
      case 0:  // all of it
        break;
      case 1:
        bytes = before;
        break;
      case 2:
        bytes.resize(point);
        break;
      case 3:
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(point), bytes.end(), '\0');
        break;
      case 4:
        for (size_t i = file.synced; i < bytes.size(); ++i) {
          const bool hole = (i / kSector + point) % 2 == 0;
          if (hole) bytes[i] = '\0';
        }
    }
  }
  file.synced = bytes.size();
  file.before.reset();
}

bool SimulatedDisk::is_folder(const fs::path& path) const {
  const std::lock_guard lock(mutex_);
  try {
    const NodePtr node = locate(path, false, "lstat").node;
    return node && node->is_folder();
  } catch (const FileError&) {
    return false;
  }
}

std::map<std::string, std::string> SimulatedDisk::snapshot() const {
  std::map<std::string, std::string> contents;
  visit([&](const std::string& path, const Node& node) {
    if (node.kind == Node::Kind::kFile) contents[path] = node.bytes;
  });
  return contents;
}

std::vector<std::string> SimulatedDisk::paths() const {
  std::vector<std::string> all;
  visit([&](const std::string& path, const Node& node) {
    const std::string what = node.is_folder() ? "/" : node.is_link() ? " -> " + node.bytes : "";
    all.push_back(path + what);
  });
  return all;
}

// Calls f(path, node) for everything but "/".
void SimulatedDisk::visit(const std::function<void(const std::string&, const Node&)>& f) const {
  const std::lock_guard lock(mutex_);
  const std::function<void(const std::string&, const Node&)> inside = [&](const std::string& path,
                                                                          const Node& folder) {
    for (const auto& [name, child] : folder.names) {
      f(path + "/" + name, *child);
      inside(path + "/" + name, *child);
    }
  };
  inside("", *root_);
}

void SimulatedDisk::flip_bit(const fs::path& path, uint64_t bit) {
  const std::lock_guard lock(mutex_);
  char& byte = find_file(path, "flip_bit")->bytes.at(bit / 8);
  byte = static_cast<char>(byte ^ (1 << (bit % 8)));
}

void SimulatedDisk::truncate(const fs::path& path, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  Node& file = *find_file(path, "truncate");
  const size_t kept = std::min(file.bytes.size(), static_cast<size_t>(bytes));
  used_ -= file.bytes.size() - kept;
  file.bytes.resize(kept);
  file.synced = std::min(file.synced, kept);
}

}  // namespace resnext::test
