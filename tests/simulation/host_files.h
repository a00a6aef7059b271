// What a rank's process sees: the run's shared disk, and its host's own under one folder.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/simulated_files.h"

namespace resnext::test {

class HostFiles final : public FileSystem {
 public:
  // `local`: the folder of the host's disk. The disks outlive this.
  HostFiles(SimulatedDisk& shared, SimulatedDisk& host, std::filesystem::path local, uint64_t seed)
      : shared_(shared, seed), host_(host, seed + 1), local_(std::move(local)) {}

  SimulatedFiles& shared() { return shared_; }
  void kill() {
    shared_.kill();
    host_.kill();
  }

  std::vector<std::string> list(const std::filesystem::path& p) override { return at(p).list(p); }
  bool exists(const std::filesystem::path& p) override { return at(p).exists(p); }
  uint64_t size(const std::filesystem::path& p) override { return at(p).size(p); }
  std::string read(const std::filesystem::path& p) override { return at(p).read(p); }
  std::unique_ptr<WritableFile> create(const std::filesystem::path& p) override {
    return at(p).create(p);
  }
  std::unique_ptr<WritableFile> append(const std::filesystem::path& p) override {
    return at(p).append(p);
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    at(from).rename(from, to);
  }
  void remove_all(const std::filesystem::path& p) override { at(p).remove_all(p); }
  void make_folders(const std::filesystem::path& p) override { at(p).make_folders(p); }
  void make_link(const std::string& target, const std::filesystem::path& link) override {
    at(link).make_link(target, link);
  }
  std::string read_link(const std::filesystem::path& p) override { return at(p).read_link(p); }
  void sync_folder(const std::filesystem::path& p) override { at(p).sync_folder(p); }
  void touch(const std::filesystem::path& p) override { at(p).touch(p); }
  double age_s(const std::filesystem::path& p) override { return at(p).age_s(p); }

 private:
  FileSystem& at(const std::filesystem::path& path) {
    if (shared_.killed()) host_.kill();
    if (path.native().starts_with(local_.native())) return host_;
    return shared_;
  }

  SimulatedFiles shared_, host_;
  const std::filesystem::path local_;
};

}  // namespace resnext::test
