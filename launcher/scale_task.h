// `resnext_launcher scale`: measures, or predicts, how training goes faster with more ranks.
//
// Measuring runs the worker on synthetic images once for each number of ranks, one after another,
// and a sum over the same ranks (resnext_worker --all-reduce); it writes scale.json into a folder
// of its own, which holds the run folders too. Predicting runs nothing (scale_model.h). Local.
// Throws ConfigError for what cannot be started, before anything is. Returns the exit code of the
// first run that fails; what was measured until then is still told.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "launcher/command_line.h"
#include "launcher/signal_inbox.h"

namespace resnext {

int execute(const ScaleTask& task, SignalInbox& inbox);

}  // namespace resnext
