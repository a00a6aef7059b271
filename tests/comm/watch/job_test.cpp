// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/job.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>
#include <vector>

namespace resnext::watch {
namespace {

// The variables of a launcher, and no other's, as long as it lives.
class Environment {
 public:
  using Variables = std::vector<std::pair<const char*, const char*>>;
  explicit Environment(const Variables& variables) {
    ::clearenv();
    for (const auto& [name, value] : variables) ::setenv(name, value, 1);
  }
  ~Environment() { ::clearenv(); }
};

const Environment::Variables kOpenMpi = {
    {"OMPI_COMM_WORLD_RANK", "5"},       {"OMPI_COMM_WORLD_SIZE", "8"},
    {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
    {"PMIX_NAMESPACE", "123"},           {"PMIX_SERVER_URI2", "123.0;tcp4://127.0.0.1:1"}};

TEST(Job, IsOpenMpis) {
  const Environment set(kOpenMpi);
  const Job job = job_from_environment();
  EXPECT_EQ(job.rank, 5);
  EXPECT_EQ(job.size, 8);
  EXPECT_EQ(job.local_rank, 1);
  EXPECT_EQ(job.local_size, 4);
  EXPECT_NE(job.key.find("123"), std::string::npos);
}

TEST(Job, IsSlurms) {
  const Environment set({{"SLURM_PROCID", "3"},
                         {"SLURM_LOCALID", "1"},
                         {"SLURM_STEP_NUM_TASKS", "4"},
                         {"SLURM_JOB_ID", "77"},
                         {"SLURM_STEP_ID", "2"}});
  const Job job = job_from_environment();
  EXPECT_EQ(job.rank, 3);
  EXPECT_EQ(job.size, 4);
  EXPECT_EQ(job.local_rank, 1);
  EXPECT_EQ(job.local_size, 0);
  EXPECT_EQ(job.key, "slurm/77.2");
}

// A batch script has a rank and a size, and what it starts by itself is a world of one.
TEST(Job, IsNoneInABatchScriptAndWithoutALauncher) {
  const Environment set({{"SLURM_PROCID", "0"},
                         {"SLURM_LOCALID", "0"},
                         {"SLURM_NTASKS", "4"},
                         {"SLURM_JOB_ID", "77"}});
  EXPECT_EQ(job_from_environment().key, "");
  EXPECT_EQ(job_from_environment().size, 1);
  const Environment none({});
  EXPECT_EQ(job_from_environment().key, "");
}

TEST(Job, OfAnotherDaemonIsAnother) {
  std::string key;
  {
    const Environment set(kOpenMpi);
    key = job_from_environment().key;
  }
  const Environment set(kOpenMpi);
  ::setenv("PMIX_SERVER_URI2", "123.0;tcp4://127.0.0.1:2", 1);
  EXPECT_NE(job_from_environment().key, key);
}

TEST(Job, WhatIsNoNumberIsNoRank) {
  const Environment set(kOpenMpi);
  ::setenv("OMPI_COMM_WORLD_RANK", "five", 1);
  EXPECT_EQ(job_from_environment().key, "");
}

TEST(Job, PretendedHostsHaveKeysOfTheirOwn) {
  const Environment set(kOpenMpi);
  const std::string key = job_from_environment().key;
  ::setenv("RESNEXT_RANKS_PER_HOST", "3", 1);
  const Job job = job_from_environment();
  EXPECT_EQ(job.key, key + "#1");
  EXPECT_EQ(job.local_rank, 2);
  EXPECT_EQ(job.local_size, 3);
}

}  // namespace
}  // namespace resnext::watch
