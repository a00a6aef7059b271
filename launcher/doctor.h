// `resnext_launcher doctor`: checks of what goes wrong most when a run starts on a new machine.
//
// The checks are functions of what they are given, so that each can be tested. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "launcher/allocation.h"
#include "launcher/command_line.h"

namespace resnext {

enum class Verdict { kFine, kNote, kBad };

struct Finding {
  Verdict verdict = Verdict::kFine;
  std::string what;
  std::string remedy;  // empty unless something is bad
};

// CUDA_VISIBLE_DEVICES names each GPU or MIG slice once, and only such as are there.
Finding check_gpus(const Machine& machine);
// The affinity mask is not one core of many (`online`: cores of the machine).
Finding check_binding(const Machine& machine, int online);
// Container bridges beside real interfaces.
Finding check_interfaces(const Machine& machine);
// Can a file in `folder` be locked, as HDF5 does when it opens one?
Finding check_locking(const std::string& folder, const Environment& environment);
// At least `needed_bytes` are free where `folder` is or will be.
Finding check_space(const std::string& folder, double needed_bytes);

// Tells each finding as it comes, for each of `hosts` what its own launcher finds. 0 when nothing
// is bad, else 64.
int execute(const DoctorTask& task);

}  // namespace resnext
