// Folders hold two sets of names: what processes see, and what is stored; a list of changes leads
// from the second to the first.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <set>
#include <utility>

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // of one path, as on Linux

std::vector<std::string> words_of(const std::string& path) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string word = path.substr(begin, end - begin);
    begin = end + 1;
    if (word == ".." && !words.empty()) words.pop_back();
    if (!word.empty() && word != "." && word != "..") words.push_back(word);
  }
  return words;
}

std::string joined(const std::vector<std::string>& words, size_t begin, size_t end) {
  std::string path;
  for (size_t i = begin; i < end; ++i) path += "/" + words[i];
  return path;
}

}  // namespace

class SimulatedDisk::OpenFile final : public WritableFile {
 public:
  OpenFile(SimulatedDisk& disk, NodePtr node, fs::path path, bool at_end)
      : disk_(disk), node_(std::move(node)), path_(std::move(path)), at_end_(at_end) {}

  void write(std::span<const std::byte> bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    if (at_end_) position_ = node_->bytes.size();
    disk_.write(*node_, position_, bytes, path_);
  }
  void sync() override {
    const std::lock_guard lock(disk_.mutex_);
    node_->synced = node_->bytes.size();
    node_->before.reset();
  }
  void close() override {}

 private:
  SimulatedDisk& disk_;
  const NodePtr node_;
  const fs::path path_;
  const bool at_end_;
  size_t position_ = 0;
};

SimulatedDisk::SimulatedDisk(uint64_t seed) : random_(seed), root_(std::make_shared<Node>()) {
  root_->kind = Node::Kind::kFolder;
}
SimulatedDisk::~SimulatedDisk() = default;

// ---- paths ----

SimulatedDisk::Place SimulatedDisk::locate(const fs::path& path, bool follow,
                                           const char* call) const {
  std::vector<std::string> words = words_of(path.native());
  Place place{nullptr, "", root_};
  int links = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!place.node) throw FileError(ENOENT, path, call);
    if (!place.node->is_folder()) throw FileError(ENOTDIR, path, call);
    const auto found = place.node->names.find(words[i]);
    const bool exists = found != place.node->names.end();
    place = {place.node, words[i], exists ? found->second : nullptr};
    if (!exists || !place.node->is_link() || (!follow && i + 1 == words.size())) continue;
    if (++links > kMostLinks) throw FileError(ELOOP, path, call);
    const std::string& target = place.node->bytes;
    const std::string from = target.starts_with('/') ? "" : joined(words, 0, i) + "/";
    words = words_of(from + target + joined(words, i + 1, words.size()));
    place = {nullptr, "", root_};
    i = static_cast<size_t>(-1);
  }
  return place;
}

SimulatedDisk::Place SimulatedDisk::locate_if_any(const fs::path& path, bool follow,
                                                  const char* call) const {
  try {
    return locate(path, follow, call);
  } catch (const FileError& error) {
    if (error.code().value() != ENOENT) throw;
    return {};
  }
}

SimulatedDisk::NodePtr SimulatedDisk::find(const fs::path& path, bool follow,
                                           const char* call) const {
  NodePtr node = locate(path, follow, call).node;
  if (!node) throw FileError(ENOENT, path, call);
  return node;
}

SimulatedDisk::NodePtr SimulatedDisk::find_file(const fs::path& path, const char* call) const {
  NodePtr node = find(path, true, call);
  if (node->is_folder()) throw FileError(EISDIR, path, call);
  return node;
}

std::vector<std::string> SimulatedDisk::list(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  const NodePtr node = locate_if_any(folder, true, "readdir").node;
  if (!node) return {};
  if (!node->is_folder()) throw FileError(ENOTDIR, folder, "readdir");
  std::vector<std::string> names;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return names;
}

bool SimulatedDisk::exists(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  try {
    return locate_if_any(path, false, "lstat").node != nullptr;
  } catch (const FileError& error) {
    if (error.code().value() != ENOTDIR) throw;
    return false;
  }
}

uint64_t SimulatedDisk::size(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  return find(path, true, "stat")->bytes.size();
}

// ---- content ----

std::string SimulatedDisk::read(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  return find_file(path, "read")->bytes;
}

std::unique_ptr<WritableFile> SimulatedDisk::create(const fs::path& path) {
  return std::make_unique<OpenFile>(*this, open(path, true), path, false);
}
std::unique_ptr<WritableFile> SimulatedDisk::append(const fs::path& path) {
  return std::make_unique<OpenFile>(*this, open(path, false), path, true);
}

SimulatedDisk::NodePtr SimulatedDisk::open(const fs::path& path, bool truncate) {
  const std::lock_guard lock(mutex_);
  const Place place = locate(path, true, "open");
  if (!place.node) return add(place, std::make_shared<Node>(), path, "open");
  if (place.node->is_folder()) throw FileError(EISDIR, path, "open");
  if (!truncate) return place.node;
  Node& file = *place.node;
  if (!file.before) file.before = file.bytes.substr(0, file.synced);
  used_ -= file.bytes.size();
  file.bytes.clear();
  file.synced = 0;
  file.changed_s = now_s_;
  return place.node;
}

void SimulatedDisk::write(Node& node, size_t& at, std::span<const std::byte> bytes,
                          const fs::path& path) {
  if (bytes.empty()) return;
  size_t end = at + bytes.size();
  const uint64_t room = limit_ - std::min(limit_, used_);
  const bool fits = !node.named || end <= node.bytes.size() + room;
  if (!fits) end = std::max(at, node.bytes.size() + static_cast<size_t>(room));
  if (end > node.bytes.size()) {
    if (node.named) used_ += end - node.bytes.size();
    node.bytes.resize(end);
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  std::copy(text, text + (end - at), node.bytes.begin() + static_cast<std::ptrdiff_t>(at));
  node.synced = std::min(node.synced, at);
  at = end;
  node.changed_s = now_s_;
  if (!fits) throw FileError(ENOSPC, path, "write");
}

// ---- names ----

void SimulatedDisk::carry_out(Operation operation) {
  for (const Change& change : operation) {
    Node& folder = *change.folder;
    folder.changed_s = now_s_;
    const auto old = folder.names.find(change.name);
    if (old != folder.names.end()) {
      if (std::exchange(old->second->named, false)) used_ -= old->second->bytes.size();
      folder.names.erase(old);
    }
    if (!change.child) continue;
    folder.names.emplace(change.name, change.child);
    if (!std::exchange(change.child->named, true)) used_ += change.child->bytes.size();
  }
  unsynced_.push_back(std::move(operation));
}

SimulatedDisk::NodePtr SimulatedDisk::add(const Place& place, NodePtr node, const fs::path& path,
                                          const char* call) {
  if (used_ >= limit_) throw FileError(ENOSPC, path, call);
  node->changed_s = now_s_;
  carry_out({{place.folder, place.name, node}});
  return node;
}

void SimulatedDisk::rename(const fs::path& from, const fs::path& to) {
  const std::lock_guard lock(mutex_);
  const Place old = locate(from, false, "rename");
  const Place target = locate(to, false, "rename");
  if (!old.node) throw FileError(ENOENT, to, "rename");
  if (!old.folder || !target.folder) throw FileError(EBUSY, to, "rename");
  if (old.node == target.node) return;
  if (target.node) {
    if (target.node->is_folder() && !old.node->is_folder()) throw FileError(EISDIR, to, "rename");
    if (!target.node->is_folder() && old.node->is_folder()) throw FileError(ENOTDIR, to, "rename");
    if (!target.node->names.empty()) throw FileError(ENOTEMPTY, to, "rename");
  }
  for (fs::path inside = to; inside.has_relative_path(); inside = inside.parent_path()) {
    if (old.node->is_folder() && inside == from) throw FileError(EINVAL, to, "rename");
  }
  carry_out({{old.folder, old.name, nullptr}, {target.folder, target.name, old.node}});
}

void SimulatedDisk::remove_all(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  const Place place = locate_if_any(path, false, "remove");
  if (place.node && place.folder) remove_tree(place.folder, place.name);
}

// Content first: each name is a change of its own.
void SimulatedDisk::remove_tree(const NodePtr& folder, const std::string& name) {
  const NodePtr node = folder->names.at(name);
  while (!node->names.empty()) remove_tree(node, std::string(node->names.begin()->first));
  carry_out({{folder, name, nullptr}});
}

void SimulatedDisk::make_folders(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  const std::vector<std::string> words = words_of(folder.native());
  for (size_t i = 1; i <= words.size(); ++i) {
    const Place place = locate(joined(words, 0, i), true, "mkdir");
    if (place.node && !place.node->is_folder()) throw FileError(ENOTDIR, folder, "mkdir");
    if (place.node) continue;
    auto made = std::make_shared<Node>();
    made->kind = Node::Kind::kFolder;
    add(place, made, folder, "mkdir");
  }
}

void SimulatedDisk::make_link(const std::string& target, const fs::path& link) {
  const std::lock_guard lock(mutex_);
  const Place place = locate(link, false, "symlink");
  if (place.node) throw FileError(EEXIST, link, "symlink");
  auto made = std::make_shared<Node>();
  made->kind = Node::Kind::kLink;
  made->bytes = target;
  made->synced = target.size();
  add(place, made, link, "symlink");
}

std::string SimulatedDisk::read_link(const fs::path& link) {
  const std::lock_guard lock(mutex_);
  try {
    const NodePtr node = locate(link, false, "readlink").node;
    return node && node->is_link() ? node->bytes : "";
  } catch (const FileError&) {
    return "";
  }
}

void SimulatedDisk::store(const Operation& operation) {
  for (const Change& change : operation) {
    if (change.child) {
      change.folder->stored[change.name] = change.child;
    } else {
      change.folder->stored.erase(change.name);
    }
  }
}

// A change is stored after all earlier ones of its folders.
void SimulatedDisk::sync_folder(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  const NodePtr node = find(folder, true, "open");
  if (!node->is_folder()) throw FileError(ENOTDIR, folder, "open");
  std::set<const Node*> folders{node.get()};
  std::vector<Operation> stored, later;
  for (auto it = unsynced_.rbegin(); it != unsynced_.rend(); ++it) {
    const bool concerned = std::ranges::any_of(
        *it, [&](const Change& change) { return folders.contains(change.folder.get()); });
    if (concerned) {
      for (const Change& change : *it) folders.insert(change.folder.get());
    }
    (concerned ? stored : later).push_back(std::move(*it));
  }
  for (auto it = stored.rbegin(); it != stored.rend(); ++it) store(*it);
  unsynced_.assign(std::make_move_iterator(later.rbegin()), std::make_move_iterator(later.rend()));
}

void SimulatedDisk::touch(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  find(path, true, "utimensat")->changed_s = now_s_;
}

double SimulatedDisk::age_s(const fs::path& path) {
  const std::lock_guard lock(mutex_);
  const NodePtr node = locate_if_any(path, true, "stat").node;
  return node ? now_s_ - node->changed_s : -1;
}

}  // namespace resnext::test
