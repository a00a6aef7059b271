// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_submissions.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "comm/common/error.h"
#include "launcher/launch_plan.h"
#include "launcher/text_file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFile = "submissions.json";

// What a command prints; none when it fails.
std::optional<std::string> output_of(const std::vector<std::string>& argv) {
  LaunchPlan line;
  line.argv = argv;
  FILE* const pipe = ::popen(to_shell(line).c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string text;
  char part[4096];
  while (const size_t got = std::fread(part, 1, sizeof part, pipe)) text.append(part, got);
  if (::pclose(pipe) != 0) return std::nullopt;
  return text;
}

Json to_json(const Submission& submission) {
  Json json = {{"job", submission.job}, {"trials", Json::object()}};
  for (const auto& [number, trial] : submission.trials) {
    json["trials"][std::to_string(number)] = trial;
  }
  return json;
}

}  // namespace

std::vector<Submission> read_submissions(const fs::path& sweep_folder) {
  std::vector<Submission> submissions;
  const std::string text = read_file(sweep_folder / kFile);
  if (text.empty()) return submissions;
  try {
    for (const Json& json : Json::parse(text)) {
      Submission& submission = submissions.emplace_back();
      json.at("job").get_to(submission.job);
      for (const auto& [number, trial] : json.at("trials").items()) {
        submission.trials[std::stoul(number)] = trial.get<std::string>();
      }
    }
  } catch (const std::exception&) {
    throw ConfigError((sweep_folder / kFile).string(), "is not a list of submitted jobs",
                      "remove it once none of the sweep's jobs is left in squeue");
  }
  return submissions;
}

void add_submission(const fs::path& sweep_folder, const Submission& submission) {
  Json all = Json::array();
  for (const Submission& earlier : read_submissions(sweep_folder)) all.push_back(to_json(earlier));
  all.push_back(to_json(submission));
  write_file(sweep_folder / kFile, all.dump(1) + "\n");
}

std::set<std::string> trials_in(const std::string& squeue,
                                const std::vector<Submission>& submissions) {
  std::set<std::string> tasks;
  std::istringstream stream(squeue);
  for (std::string task; stream >> task;) tasks.insert(task);
  std::set<std::string> trials;
  for (const Submission& submission : submissions) {
    for (const auto& [number, trial] : submission.trials) {
      if (tasks.contains(submission.job + "_" + std::to_string(number))) trials.insert(trial);
    }
  }
  return trials;
}

std::set<std::string> queued_trials(const fs::path& sweep_folder,
                                    const std::set<std::string>& trials) {
  const std::vector<Submission> submissions = read_submissions(sweep_folder);
  bool submitted = false;
  for (const Submission& submission : submissions) {
    for (const auto& [number, trial] : submission.trials) submitted |= trials.contains(trial);
  }
  if (!submitted) return {};
  if (const auto text = output_of({"squeue", "--noheader", "--array", "--format=%i"})) {
    return trials_in(*text, submissions);
  }
  throw ConfigError((sweep_folder / kFile).string(),
                    "has jobs of Slurm that may still run, and squeue does not tell",
                    "try again where squeue works, or remove the file once none is left");
}

std::string submit_job(const std::vector<std::string>& sbatch) {
  std::vector<std::string> argv = sbatch;
  argv.insert(argv.begin() + 1, "--parsable");
  const std::string text = output_of(argv).value_or("");
  return text.substr(0, text.find_first_not_of("0123456789"));
}

}  // namespace resnext
