// resnext_worker: the training process, one a rank.
// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <exception>
#include <optional>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "comm/common/memory.h"
#include "comm/mpi_environment.h"
#include "comm/watch/watch.h"
#include "comm/watch/watchdog.h"
#include "configs/yaml_reader.h"
#include "worker/command_line.h"
#include "worker/session.h"
#include "worker/stop_signal.h"

namespace {

using namespace resnext;

// Before MPI starts, so that the limit holds from the beginning. What is wrong with the command
// line or the configuration is said later, by all ranks together.
void set_limit(const CommandLine& line) try {
  if (line.config.empty()) return;
  watch::set_limit(read_run_config(line.config, line.overrides).comm.timeout_s);
} catch (const Error&) {
}

std::optional<CommandLine> parse_early(int argc, char** argv) try {
  return parse_command_line(argc, argv);
} catch (const Error&) {
  return std::nullopt;
}

ExitCode act(int argc, char** argv, const MpiEnvironment& environment) {
  return run_session(parse_command_line(argc, argv), environment);
}

int help(const CommandLine& line, int rank) {
  if (rank == 0) std::fputs(line.help.c_str(), stdout);
  return 0;
}

int run(int argc, char** argv) {
  watch_stop_signals();
  const watch::Job job = watch::job_from_environment();
  set_up_log(job.rank, job.size);
  const std::optional<CommandLine> line = parse_early(argc, argv);
  if (line && line->action == Action::kHelp) return help(*line, job.rank);
  if (line && line->quiet) quieten_log();
  watch::Watchdog watchdog(job);
  if (line) set_limit(*line);
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
