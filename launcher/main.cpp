// resnext_launcher: starts, supervises, sweeps and reports training runs.
// SPDX-License-Identifier: BSD-3-Clause
#include <spdlog/spdlog.h>

#include <cstdio>
#include <exception>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "launcher/command_line.h"
#include "launcher/compare.h"
#include "launcher/doctor.h"
#include "launcher/report.h"
#include "launcher/run_task.h"
#include "launcher/scale_task.h"
#include "launcher/signal_inbox.h"
#include "launcher/sweep_status.h"
#include "launcher/sweep_task.h"

namespace {

using namespace resnext;

int run(int argc, char** argv, SignalInbox& inbox) {
  const LauncherCommand command = parse_launcher_command(argc, argv);
  if (command.run.launch.quiet || command.sweep.quiet) quieten_log();
  switch (command.task) {
    case Task::kRun:
      return execute(command.run, inbox);
    case Task::kSweep:
      return execute(command.sweep, inbox);
    case Task::kSweepStatus:
      inbox.let_in();
      return show_sweep_status(command.sweep);
    case Task::kReport:
      inbox.let_in();
      return execute(command.report);
    case Task::kScale:
      return execute(command.scale, inbox);
    case Task::kCompare:
      inbox.let_in();
      return execute(command.compare);
    case Task::kDoctor:
      inbox.let_in();
      return execute(command.doctor);
    default:
      std::fputs(command.help.c_str(), stdout);
      return 0;
  }
}

int fail(ExitCode code, const char* what) {
  spdlog::error("{}", what);
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  SignalInbox inbox;
  set_up_log(0, 1);
  try {
    return run(argc, argv, inbox);
  } catch (const Error& error) {
    return fail(error.exit_code(), error.what());
  } catch (const std::exception& error) {
    return fail(ExitCode::kInternal, error.what());
  }
}
