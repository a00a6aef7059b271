// One rank decides, all agree: what every start settles before its first step.
//
// All functions are COLLECTIVE, on host memory, and throw the same error on all ranks.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "comm/common/error.h"
#include "comm/communicator.h"

namespace resnext {

// Root's text for everybody.
std::string broadcast_text(Communicator& communicator, std::string text, int root = 0);

// Runs `f` on rank 0 alone; its text, or its error (code and line), is everybody's.
std::string decide(Communicator& communicator, const std::function<std::string()>& f);

// The same without a text.
void on_rank_0(Communicator& communicator, const std::function<void()>& f);

// The error of the lowest rank that has one, thrown by all. Some rank has one.
[[noreturn]] void throw_together(Communicator& communicator, const std::exception_ptr& mine);

// Returns once `done` has said true on rank 0, which may wait up to the given seconds in it:
// however long that takes, no collective takes longer.
void wait_together(Communicator& communicator, const std::function<bool(double seconds)>& done);

// Something that every rank has found by itself and that must be the same everywhere.
struct Claim {
  std::string name;                   // "configuration", "training data"
  std::string text;                   // lines; the first that differs is shown
  ExitCode code = ExitCode::kConfig;  // of a difference
  std::string remedy;
};

// Throws the error of the first claim on which ranks differ, naming the odd rank (the lowest that
// differs from most), its host, and both lines. Costs one all_gather of eight bytes a claim when
// all agree.
void check_agreement(Communicator& communicator, const std::vector<Claim>& claims);

}  // namespace resnext
