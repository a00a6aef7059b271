// Which trials of a sweep wait or run in Slurm: OUTPUT/submissions.json has the array jobs that
// were submitted, and squeue tells which of their tasks are left.
//
// Local. Throws ConfigError and OutputError.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace resnext {

struct Submission {
  std::string job;                       // of Slurm
  std::map<size_t, std::string> trials;  // task number -> trial
};

std::vector<Submission> read_submissions(const std::filesystem::path& sweep_folder);
void add_submission(const std::filesystem::path& sweep_folder, const Submission& submission);

// The trials of tasks that `squeue` lists, one a line, such as "12_3". A pure function.
std::set<std::string> trials_in(const std::string& squeue,
                                const std::vector<Submission>& submissions);

// Asks squeue when one of `trials` was ever submitted. Throws ConfigError when it does not answer:
// a trial that runs twice would be worse.
std::set<std::string> queued_trials(const std::filesystem::path& sweep_folder,
                                    const std::set<std::string>& trials);

// Runs sbatch and returns the job's number; empty when it failed, which it has explained.
std::string submit_job(const std::vector<std::string>& sbatch);

}  // namespace resnext
