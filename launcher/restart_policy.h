// Whether a run that ended is to be started again, and after how long.
//
// Plain rules, no clock and no processes, so that they can be tested as they are. Local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace resnext {

struct RestartOptions {
  int max_restarts = 0;
  double backoff_s = 1;  // after a run that ended early; doubles with each in a row; else 0
  double max_backoff_s = 60;
  bool only_failed_starts = false;  // a run that gained a checkpoint is left to the scheduler
};

// So many starts in a row without a new checkpoint end a run, whatever restarts are left.
inline constexpr int kFruitlessStarts = 5;

// What a launcher leaves with when a second SIGINT made it end at once.
inline constexpr int kCutShort = 130;

// How one start of the run ended.
struct Attempt {
  int exit_code = 0;           // of mpirun, srun or the worker
  int stop_signal = 0;         // by which somebody asked us to stop; 0: nobody did
  int64_t serial_before = -1;  // of the newest checkpoint at its start and at its end
  int64_t serial_after = -1;
  double seconds = 0;
  int64_t step = -1;       // of the newest checkpoint at its end, for people
  bool cut_short = false;  // a second SIGINT ended it at once

  bool gained() const { return serial_after > serial_before; }
};

struct Decision {
  bool restart = false;
  double delay_s = 0;
  int exit_code = 0;    // of ours, when there is no restart
  std::string because;  // for people
};

// The program's own code for what a starter reports: a rank or a node that was lost (a signal, or
// Open MPI's 205) and a start that failed (1) are 76; all of ours stay as they are. Else 70.
int to_exit_code(int starter_code);

// The code of ours that an attempt ended with. A rank or a start that was lost after a stop request
// was lost by it, so that this counts as stopped: 75.
int to_exit_code(const Attempt& attempt);

// Whether the Slurm job is to be queued again. `earlier`: how often it was before. Every stop
// request is followed by it; else codes 75 and 76, while each start gains a checkpoint or there
// were fewer than kFruitlessStarts.
bool requeue_helps(const Attempt& attempt, int earlier);

class RestartPolicy {
 public:
  explicit RestartPolicy(const RestartOptions& options) : options_(options) {}

  // Call once for each attempt, in order.
  Decision decide(const Attempt& attempt);

  int restarts() const { return restarts_; }

 private:
  std::string reason_to_stop(const Attempt& attempt, int code) const;  // empty: there is none
  double next_delay(const Attempt& attempt);

  RestartOptions options_;
  int restarts_ = 0;
  int early_ends_ = 0;  // in a row
  int fruitless_ = 0;   // starts in a row without a new checkpoint
};

}  // namespace resnext
