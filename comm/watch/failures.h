// Which failure of a job came first: the one that the user reads and whose exit code all leave
// with.
//
// A rank claims the first place on its host's board before anything unwinds; whatever fails
// afterwards is a consequence. A lost peer that a rank's own program has met (76) is mostly a
// consequence too: it holds the place only until it settles, a moment later, and gives it up to a
// cause that is more telling: another exit code, or a watchdog's verdict that names the culprit.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "comm/watch/board.h"

namespace resnext::watch {

enum class Source : int { kProgram, kWatchdog };

struct Cause {
  int rank = 0;  // who says so
  int code = 0;  // exit code
  std::string text;
  bool tells = false;  // more than that a peer was lost
};

class Failures {
 public:
  explicit Failures(Board& board) : board_(board) {}

  // By this rank. Of each source the first counts; one thread a source.
  void claim(Source source, int code, std::string_view text);
  // Something has failed somewhere. Costs a load.
  bool any() const { return board_.notice().first.load(std::memory_order_acquire) != 0; }
  // The claim that has the first place.
  std::optional<Cause> first() const { return cause(board_.notice().first); }
  std::optional<Cause> settled() const { return cause(board_.notice().settled); }
  // The first place is given for good.
  void settle();
  // To the cause of another host. By one rank of this host.
  void settle(const Cause& far);
  // Seconds since the first place was claimed.
  double age_s() const;

 private:
  std::optional<Cause> cause(uint32_t place) const;
  void take(uint32_t place);

  Board& board_;
};

}  // namespace resnext::watch
