// Ends whatever the programs that we started have left behind.
//
// While it lives, this process is the one that orphans of its descendants fall to
// (PR_SET_CHILD_SUBREAPER, prctl(2)), however their parents have died. So a rank whose mpirun was
// killed becomes a child of ours, and can be ended for certain. On this host; the ranks on others
// end with their daemon. Local, one thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <set>

namespace resnext {

class Reaper {
 public:
  Reaper();

  // Kills every child but those of `living`, and what falls to us thereby, until none is left:
  // stopped ones too. Children from before this reaper (of the shell that became us) are spared.
  // Waits as long as that takes, with a warning now and then about who cannot be ended.
  void end_strays(const std::set<pid_t>& living = {}) const;

 private:
  std::set<pid_t> earlier_;
};

}  // namespace resnext
