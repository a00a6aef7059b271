// resnext_worker: the training process, one a rank.
// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <exception>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "comm/mpi_environment.h"
#include "comm/watch/watch.h"
#include "comm/watch/watchdog.h"
#include "configs/yaml_reader.h"
#include "worker/command_line.h"
#include "worker/device/memory.h"
#include "worker/session.h"
#include "worker/stop_signal.h"

namespace {

using namespace resnext;

// Known before MPI starts, so that the limit holds from the beginning. What is wrong with the
// command line or the configuration is said later, by all ranks together.
void set_limit(int argc, char** argv) try {
  const CommandLine line = parse_command_line(argc, argv);
  if (!line.config.empty()) {
    watch::set_limit(read_run_config(line.config, line.overrides).comm.timeout_s);
  }
} catch (const Error&) {
}

ExitCode act(int argc, char** argv, const MpiEnvironment& environment) {
  const CommandLine line = parse_command_line(argc, argv);
  if (line.action != Action::kHelp) return run_session(line, environment);
  if (environment.rank() == 0) std::fputs(line.help.c_str(), stdout);
  return ExitCode::kOk;
}

int run(int argc, char** argv) {
  watch_stop_signals();
  const watch::Job job = watch::job_from_environment();
  set_up_log(job.rank, job.size);
  watch::Watchdog watchdog(job);
  set_limit(argc, argv);
  try {
    const MpiEnvironment environment(&watchdog);
    watch_stop_signals();  // MPI has set its own
    try {
      return static_cast<int>(watch::guard([&] { return act(argc, argv, environment); }));
    } catch (const std::exception& error) {
      return watch::fail(to_error(error));
    }
  } catch (const Error& error) {  // MPI did not start
    return watch::fail(error);
  }
}

}  // namespace

int main(int argc, char** argv) {
  watch_stop_signals();
  keep_freed_memory();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {  // there was no thread for the watchdog
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(ExitCode::kInternal);
  }
}
