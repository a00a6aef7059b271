// resnext_worker: the training process, one a rank.
// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <exception>
#include <string>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "comm/mpi_environment.h"
#include "worker/command_line.h"
#include "worker/device/memory.h"
#include "worker/session.h"
#include "worker/stop_signal.h"

namespace {

using namespace resnext;

int run(int argc, char** argv) {
  MpiEnvironment environment;
  set_up_log(environment.rank(), environment.size());
  try {
    watch_stop_signals();  // MPI may have handlers of its own
    const CommandLine line = parse_command_line(argc, argv);
    if (line.action == Action::kHelp) {
      if (environment.rank() == 0) std::fputs(line.help.c_str(), stdout);
      return 0;
    }
    return static_cast<int>(run_session(line, environment));
  } catch (const Error& error) {
    return environment.fail(error.exit_code(), error.what());
  } catch (
      const std::exception& error) {  // of a library; LibTorch adds a stack below the first line
    const std::string text = error.what();
    return environment.fail(ExitCode::kInternal, text.substr(0, text.find('\n')));
  }
}

}  // namespace

int main(int argc, char** argv) {
  watch_stop_signals();
  keep_freed_memory();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {  // MPI did not start
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(ExitCode::kPeerLost);
  }
}
