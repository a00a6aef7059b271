// A disk in memory that keeps after a power loss what POSIX promises, and nothing more by luck.
//
// A file's bytes are safe once the file was synced, a name (made, renamed or removed) once its
// folder was: sync of a file alone saves no name. At lose_power() everything else is drawn from the
// seed: of each file's unsynced bytes none, all, the first ones, or all with zeros among them; of
// each folder's unsynced changes the first ones, in order. A rename is whole or not at all.
// Paths are absolute ("a" is "/a") and ".." is taken by its text. All functions may be called from
// any thread. What fails throws FileError with the errno that Linux gives.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/common/file_system.h"

namespace resnext::test {

class SimulatedDisk final : public FileSystem {
 public:
  explicit SimulatedDisk(uint64_t seed = 0);
  ~SimulatedDisk() override;

  std::vector<std::string> list(const std::filesystem::path& folder) override;
  bool exists(const std::filesystem::path& path) override;
  uint64_t size(const std::filesystem::path& path) override;
  std::string read(const std::filesystem::path& path) override;
  std::unique_ptr<WritableFile> create(const std::filesystem::path& path) override;
  std::unique_ptr<WritableFile> append(const std::filesystem::path& path) override;
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  void remove_all(const std::filesystem::path& path) override;
  void make_folders(const std::filesystem::path& folder) override;
  void make_link(const std::string& target, const std::filesystem::path& link) override;
  std::string read_link(const std::filesystem::path& link) override;
  void sync_folder(const std::filesystem::path& folder) override;
  void touch(const std::filesystem::path& path) override;
  double age_s(const std::filesystem::path& path) override;

  // The clock of files' ages, seconds from 0. It stands still but for advance().
  double now_s() const;
  void advance(double seconds);

  // Room for so many bytes of content. A full disk takes no new name either; what does not fit in
  // throws ENOSPC after what fits was written. Removal makes room.
  void limit(uint64_t bytes);
  uint64_t used() const;

  // All processes must be dead. Files that are open write to nowhere afterwards.
  void lose_power();

  bool is_folder(const std::filesystem::path& path) const;  // itself, not by a link
  // Content of every file by its path.
  std::map<std::string, std::string> snapshot() const;
  // Every path but "/": folders with "/" at the end, links as "PATH -> TARGET".
  std::vector<std::string> paths() const;

  // Damage to what is stored; no change of the file's age. `bit` counts from the file's start.
  void flip_bit(const std::filesystem::path& path, uint64_t bit);
  void truncate(const std::filesystem::path& path, uint64_t bytes);

 private:
  class OpenFile;
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  struct Node {
    enum class Kind { kFile, kFolder, kLink };
    using Names = std::map<std::string, NodePtr>;

    bool is_folder() const { return kind == Kind::kFolder; }
    bool is_link() const { return kind == Kind::kLink; }

    Kind kind = Kind::kFile;
    double changed_s = 0;
    std::string bytes;                  // of a file; what a link says
    size_t synced = 0;                  // of them are stored
    std::optional<std::string> before;  // stored content, when the file was emptied since
    bool named = false;                 // its bytes count as used
    Names names;                        // of a folder
    Names stored;
  };
  // Where a path leads: an entry of a folder, which may not exist. "/" has no folder.
  struct Place {
    NodePtr folder;
    std::string name;
    NodePtr node;
  };
  // `child` under `name`, or no such name.
  struct Change {
    NodePtr folder;
    std::string name;
    NodePtr child;
  };
  using Operation = std::vector<Change>;  // whole or not at all

  Place locate(const std::filesystem::path& path, bool follow, const char* call) const;
  // Nothing where a folder on the way is missing.
  Place locate_if_any(const std::filesystem::path& path, bool follow, const char* call) const;
  NodePtr find(const std::filesystem::path& path, bool follow, const char* call) const;
  NodePtr find_file(const std::filesystem::path& path, const char* call) const;
  NodePtr open(const std::filesystem::path& path, bool truncate);
  NodePtr add(const Place& place, NodePtr node, const std::filesystem::path& path,
              const char* call);
  void carry_out(Operation operation);
  static void store(const Operation& operation);
  void remove_tree(const NodePtr& folder, const std::string& name);
  // Moves `at` past what was written.
  void write(Node& node, size_t& at, std::span<const std::byte> bytes,
             const std::filesystem::path& path);
  void visit(const std::function<void(const std::string&, const Node&)>& f) const;
  void keep_some_changes();
  void restore(Node& folder);
  void tear(Node& file);
  uint64_t draw(uint64_t below);

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  NodePtr root_;
  std::vector<Operation> unsynced_;  // of names, in order
  double now_s_ = 0;
  uint64_t limit_ = UINT64_MAX;
  uint64_t used_ = 0;
};

}  // namespace resnext::test
