// The board of a host and job: memory that its ranks share, where each writes what it does.
//
// A file in /dev/shm, found by the job's key. It works before MPI starts and while MPI hangs. Each
// rank holds the lock of its slot for as long as it lives, and the system gives it back whatever
// ends the process: so who has died is known at once, and a board on which nobody holds a lock is
// left over from a job that has ended, to be used anew or removed. All ranks having come, the file
// is removed, and the memory goes with the last of them.
//
// All values are atomic and none is waited for. A failure's text is written before its code. Times:
// CLOCK_MONOTONIC, ns, which the processes of a host share.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "comm/watch/job.h"
#include "comm/watch/phase.h"

namespace resnext::watch {

constexpr int kSlots = 256;   // local ranks that find room; others have a board each
constexpr int kChanges = 64;  // of phase, that are remembered

int64_t now_ns();

struct Failure {
  std::atomic<int> code;  // exit code; 0: none
  std::atomic<int> rank;  // who says so
  char text[500];

  // By one thread, once.
  void write(int rank, int code, std::string_view text);
  std::string read() const;
};

// The beginning of a phase.
struct Change {
  std::atomic<int64_t> at_ns;
  std::atomic<Phase> phase;
  std::atomic<uint64_t> collective;
};

// How far a rank is with a failure.
enum class Standing : int { kRuns, kClaims, kFailed, kFollows };  // by itself; in consequence

// One rank. Written by its process only, but for `dead`.
struct Slot {
  std::atomic<bool> used;
  std::atomic<bool> ended;     // in order
  std::atomic<bool> dead;      // as another has seen
  std::atomic<bool> recorded;  // its flight record is written
  std::atomic<int> rank;
  std::atomic<int> pid;
  std::atomic<Standing> standing;
  std::atomic<Phase> phase;
  std::atomic<uint64_t> collective;
  std::atomic<int64_t> since_ns;  // of the phase, or of the last progress within it
  std::atomic<int64_t> step;
  std::atomic<int64_t> limit_ns;            // of a phase; 0: not known yet
  std::atomic<int64_t> beat_ns;             // the watchdog lives
  std::atomic<int64_t> resumed_ns;          // after the whole process had been stopped
  std::atomic<uint64_t> device_collective;  // that has not completed; 0: none
  std::atomic<int64_t> device_since_ns;
  std::atomic<uint64_t> changed;  // number of changes so far
  std::array<Change, kChanges> changes;
  std::array<Failure, 2> failures;  // what its program found, what its watchdog found
};

// What is said of all ranks together.
struct Notice {
  std::atomic<uint64_t> id;
  std::atomic<int> end;              // one more than the highest slot in use
  std::atomic<uint32_t> first;       // claimed: of weight, slot and kind (see failures.h); 0: none
  std::atomic<int64_t> first_ns;     // when
  std::atomic<uint32_t> settled;     // the first cause of the whole job
  std::atomic<bool> announcing;      // somebody prints it
  std::atomic<bool> announced;       // has been printed
  std::atomic<bool> all_failed;      // every rank of the job has failed by itself
  std::atomic<bool> not_all_failed;  // that will not be: one fails in consequence
  Failure far;                       // the first cause, when it is on another host
};

class Board {
 public:
  // Joins the board of this host and job; one of its own where there is no job, or no room for it.
  explicit Board(const Job& job);
  // The slot stays as it was last, ended; removes the file if it is still there.
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  Notice& notice() { return layout_->notice; }
  Slot& slot(int index) { return layout_->slots[static_cast<size_t>(index)]; }
  Slot& mine() { return slot(index_); }
  int index() const { return index_; }
  // One more than the highest slot in use.
  int end() const { return layout_->notice.end; }
  // Whether others can see this board, and where.
  bool shared() const { return file_ >= 0; }
  const std::string& path() const { return path_; }

  // Whether the process of a slot that is used lives.
  bool lives(int index) const;
  // No more ranks will come: removes the file. The memory stays.
  void close();

 private:
  struct Layout {
    Notice notice;
    std::array<Slot, kSlots> slots;
  };

  bool join(const Job& job);
  bool map();
  void take_slot(int rank);

  std::string path_;
  int file_ = -1;
  int index_ = 0;
  Layout* layout_ = nullptr;
};

// Removes the boards of this user's jobs on which no rank lives.
void remove_left_boards();

}  // namespace resnext::watch
