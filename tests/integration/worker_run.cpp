// SPDX-License-Identifier: BSD-3-Clause
#include "tests/integration/worker_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/support/tiny_data.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWorker = RESNEXT_BIN_DIR "/resnext_worker";

// What it becomes.
fs::path program_of_worker() {
  return fs::canonical(fs::path(RESNEXT_BIN_DIR).parent_path() / "libexec/resnext_worker_program");
}

// Buckets of 0.01 MiB: many, so that their order matters to floating-point sums.
constexpr const char* kConfig = R"(
run: {epochs: 2}
model: {family: cifar, depth: 11, cardinality: 2, base_width: 16, stem: {width: 8}}
data: {recipe: cifar, size: 16, resize: 16, threads: 1}
batch: {global: 12}
optimizer: {base_lr: 0.05, base_batch: 12}
schedule: {kind: cosine}
comm: {bucket_mib: 0.01, first_bucket_mib: 0.005}
log: {every_steps: 1, tensorboard: false}
)";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words worker_command(int ranks, const Words& arguments) {
  const Words worker = Words{kWorker} + arguments;
  const Words environment = {"env", "OMP_NUM_THREADS=1"};
  if (ranks == 0) return environment + worker;
  return environment + Words{"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"} +
         mpirun(RESNEXT_MPIEXEC, ranks) + worker;
}

Workspace::Workspace() {
  write_tiny_container(folder_ / "train.h5", {.images = 96, .key = 1});
  write_tiny_container(folder_ / "validation.h5", {.images = 37, .key = 2});
  write_text(config(), kConfig);
}

Words Workspace::train_command(int ranks, const std::string& output, const Words& more) const {
  const Words paths = {config(), "data.train=" + folder_ / "train.h5",
                       "data.validation=" + folder_ / "validation.h5",
                       "run.output=" + folder_ / output};
  return worker_command(ranks, paths + more);
}

Result Workspace::train(int ranks, const std::string& output, const Words& more) const {
  return run(train_command(ranks, output, more), kRunTimeout);
}

std::vector<std::string> reproducible_lines(const fs::path& run) {
  std::vector<std::string> kept;
  for (const std::string& line : lines_of(read_text(run / "metrics.jsonl"))) {
    auto event = nlohmann::ordered_json::parse(line);
    const bool validates = event["event"].get<std::string>().ends_with("validation");
    if (event["event"] != "train" && !validates) continue;
    if (validates && event["step"].get<int>() % kStepsPerEpoch != 0) continue;
    for (const char* time : {"images_per_second", "data_wait_ms", "forward_ms", "backward_ms",
                             "exposed_comm_ms", "optimizer_ms"}) {
      event.erase(time);
    }
    kept.push_back(event.dump());
  }
  return kept;
}

int logged_steps(const fs::path& run) {
  int steps = 0;
  for (const std::string& line : lines_of(read_text(run / "metrics.jsonl"))) {
    const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object() && event.value("event", "") == "train") steps = event.value("step", 0);
  }
  return steps;
}

fs::path newest_checkpoint(const fs::path& run) {
  fs::path newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name > newest.filename().string()) newest = entry.path();
  }
  return newest;
}

testing::AssertionResult same_run(const fs::path& a, const fs::path& b) {
  const auto lines_a = reproducible_lines(a);
  const auto lines_b = reproducible_lines(b);
  const auto [x, y] = std::ranges::mismatch(lines_a, lines_b);
  if (x != lines_a.end() || y != lines_b.end()) {
    return testing::AssertionFailure() << "logs part at " << (x == lines_a.end() ? "the end" : *x)
                                       << " / " << (y == lines_b.end() ? "the end" : *y);
  }
  const fs::path last_a = newest_checkpoint(a);
  const fs::path last_b = newest_checkpoint(b);
  if (last_a.empty() || last_a.filename() != last_b.filename()) {
    return testing::AssertionFailure() << "ended with " << last_a << " / " << last_b;
  }
  for (const char* file : {"model.pt", "optimizer.pt", "ema.pt"}) {
    if (fs::exists(last_a / file) != fs::exists(last_b / file)) {
      return testing::AssertionFailure() << file << " is in one of them only";
    }
    if (!fs::exists(last_a / file)) continue;
    if (read_text(last_a / file) != read_text(last_b / file)) {
      return testing::AssertionFailure() << file << " differs at the end";
    }
  }
  return testing::AssertionSuccess();
}

pid_t process_of_rank(const Process& mpirun, int rank) {
  const std::string variable = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank) + '\0';
  for (const pid_t pid : mpirun.members(program_of_worker().string())) {
    const std::string environment = read_text("/proc/" + std::to_string(pid) + "/environ");
    if (environment.find(variable) != std::string::npos) return pid;
  }
  return 0;
}

std::vector<std::string> error_lines(const std::string& err) {
  static const std::regex kError(R"(^\d\d:\d\d:\d\d error .*)");
  std::vector<std::string> lines = lines_of(err);
  std::erase_if(lines, [](const std::string& line) { return !std::regex_match(line, kError); });
  return lines;
}

}  // namespace resnext::test
