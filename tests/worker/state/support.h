// Saves without tensors: files of a few bytes, so that a test writes hundreds in a second.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/faulty_files.h"
#include "tests/support/process.h"
#include "worker/state/run_store.h"

namespace resnext::test {

// Without fsync, which takes most of a test's time.
inline FileSystem& unsynced_files() {
  static FaultyFiles files;
  return files;
}

inline SavedFile small_file(const std::string& name, const std::string& content) {
  return {name, [content](const auto& sink) {  // in two pieces, as large ones come
            const auto bytes = std::as_bytes(std::span(content.data(), content.size()));
            sink(bytes.first(bytes.size() / 2));
            sink(bytes.subspan(bytes.size() / 2));
          }};
}

inline std::vector<SavedFile> files_of(int64_t step, const std::string& mark = "") {
  return {small_file("model.pt", "weights of step " + std::to_string(step) + mark),
          small_file("optimizer.pt", "momentum of step " + std::to_string(step) + mark)};
}

inline Progress progress_at(int64_t step) {
  Progress progress;
  progress.step = step;
  progress.position = {step / 10, step % 10 * 8};
  progress.global_batch = 8;
  return progress;
}

inline DataRecord small_data() {
  DataRecord data;
  data.train = {80, 7, "raw"};
  data.validation = {20, 8, "raw"};
  data.class_names = {"cat", "dog"};
  data.mean = {0.1, 0.2, 0.3};
  data.std = {0.4, 0.5, 0.6};
  data.classes = 2;
  data.size = 32;
  data.resize = 36;
  return data;
}

inline Manifest manifest_at(int64_t step, int64_t serial) {
  Manifest manifest;
  manifest.run = "r";
  manifest.serial = serial;
  manifest.parent = serial - 1;
  manifest.lineage = Lineage().at(serial);
  manifest.progress = progress_at(step);
  manifest.data = small_data();
  return manifest;
}

// Names in CHECKPOINTS, sorted, but for the record of lines.
inline std::vector<std::string> names_in(const std::filesystem::path& checkpoints) {
  std::vector<std::string> names = posix_files().list(checkpoints);
  std::erase(names, "lineage.json");
  return names;
}

inline void flip_bit(const std::filesystem::path& path, size_t bit) {
  std::string bytes = read_text(path);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  write_text(path, bytes);
}

// One start of a run: what a session does with its store.
struct Start {
  Start(const std::filesystem::path& output, int64_t keep, const std::string& resume = "auto",
        bool again = false, FileSystem& files = unsynced_files())
      : store(files, output, keep), from(store.find(resume, again)) {
    store.begin(from);
  }
  void save(int64_t step, const std::string& mark = "") {
    store.save(progress_at(step), small_data(), files_of(step, mark));
  }
  // Saves the step and validates it; true: the best so far.
  bool validate(int64_t step, double top1) {
    save(step);
    return store.validated({1, top1, 100, 20});
  }
  int64_t step() const { return from ? from->manifest.progress.step : 0; }
  std::string best() const { return store.saves().best.filename(); }

  RunStore store;
  std::optional<SavedState> from;
};

}  // namespace resnext::test
