// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/job.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include "comm/common/host.h"

namespace resnext::watch {
namespace {

using Names = std::initializer_list<const char*>;

std::string text_of(Names names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

// The first of these that is a whole number from 0 on.
std::optional<int> number_of(Names names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    char* end = nullptr;
    const long number = std::strtol(value, &end, 10);
    if (*end == '\0' && number >= 0) return static_cast<int>(number);
  }
  return std::nullopt;
}

// The daemon's address tells apart jobs that were given the same number.
std::string key_of_job() {
  const std::string job = text_of({"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"});
  if (!job.empty()) return job + "/" + text_of({"PMIX_SERVER_URI2", "PMIX_SERVER_URI21"});
  const std::string step = text_of({"SLURM_STEP_ID", "SLURM_STEPID"});
  if (step.empty()) return "";  // a batch script, which has a rank but is none
  return "slurm/" + text_of({"SLURM_JOB_ID", "SLURM_JOBID"}) + "." + step;
}

void pretend_hosts(Job& job, int ranks_per_host) {
  const int host = job.rank / ranks_per_host;
  const std::string mark = "#" + std::to_string(host);
  job.key += mark;
  job.host += mark;
  job.local_rank = job.rank % ranks_per_host;
  job.local_size = std::min(ranks_per_host, job.size - host * ranks_per_host);
}

}  // namespace

Job job_from_environment() {
  Job alone;
  alone.host = host_name();
  const auto rank = number_of({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"});
  const auto local_rank = number_of({"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"});
  const auto size =
      number_of({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"});
  Job job = alone;
  job.key = key_of_job();
  if (!rank || !local_rank || !size || job.key.empty()) return alone;
  job.rank = *rank;
  job.size = *size;
  job.local_rank = *local_rank;
  job.local_size = number_of({"OMPI_COMM_WORLD_LOCAL_SIZE"}).value_or(0);
  const int pretended = number_of({"RESNEXT_RANKS_PER_HOST"}).value_or(0);
  if (pretended > 0) pretend_hosts(job, pretended);
  return job;
}

}  // namespace resnext::watch
