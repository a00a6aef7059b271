// Runs trials as processes of `resnext_launcher run`, as many at once as there are shares of the
// machine, and keeps their records.
//
// Local, one thread. A stop request reaches all running trials, which save and end; none is started
// after it. What a trial's launcher leaves behind when it is killed is ended before its share of
// the machine goes to another trial.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/resource_shares.h"
#include "launcher/signal_inbox.h"
#include "launcher/sweep_folder.h"

namespace resnext {

struct PoolOptions {
  std::vector<std::string> run_options;  // for `resnext_launcher run`
  bool log_to_file = true;               // TRIAL/launcher.log; else to our own outputs
  std::function<void(const Trial&)> on_end;
  std::function<bool()> may_go_on;  // asked about once a second; false is a stop request
};

// The command that runs one trial on its share.
std::vector<std::string> trial_command(const std::string& launcher, const SweepFolder& folder,
                                       const Trial& trial, const PoolOptions& options);

// 0 when all finished; 75 when a stop request has left something to do; else the code of the first
// that failed.
int run_trials(SweepFolder& folder, const std::vector<const Trial*>& trials,
               const std::vector<Resources>& shares, const PoolOptions& options,
               SignalInbox& inbox);

}  // namespace resnext
