// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/aftermath.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "comm/common/bounded_call.h"
#include "comm/common/error.h"
#include "comm/watch/flight_record.h"
#include "comm/watch/views.h"

namespace resnext::watch {
namespace {

constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);
constexpr double kWritingS = 0.7;  // of records, and of the line
constexpr double kSilentS = 1;     // after which a rank is taken for one that writes no record

bool runs(const Slot& slot) {
  return slot.used && !slot.dead && !slot.ended &&
         1e-9 * static_cast<double>(now_ns() - slot.beat_ns) < kSilentS;
}

bool all_recorded(Board& board) {
  for (int i = 0; i < board.end(); ++i) {
    if (runs(board.slot(i)) && !board.slot(i).recorded) return false;
  }
  return true;
}

bool first_that_runs(Board& board) {
  for (int i = 0; i < board.index(); ++i) {
    if (runs(board.slot(i))) return false;
  }
  return true;
}

bool is_here(const Watched& watched, int rank) {
  const Watched::Layout layout = watched.layout();
  return !layout.several || std::ranges::find(layout.members, rank) != layout.members.end();
}

// The rank that says it, or, a while later, whoever is where it was.
void announce(Watched& watched) {
  const std::optional<Cause> cause = watched.failures.settled();
  const bool mine = cause->rank == watched.board.mine().rank;
  const bool late = watched.failures.age_s() > kGraceS / 2 && is_here(watched, cause->rank);
  if ((!mine && !late) || watched.board.notice().announced) return;
  finishes_within(kWritingS, [&watched, text = cause->text] {
    if (!watched.board.notice().announcing.exchange(true)) spdlog::error("{}", text);
    watched.board.notice().announced = true;
  });
}

void write_records(Watched& watched) {
  Board& board = watched.board;
  const bool for_others = first_that_runs(board);
  const std::string folder = watched.flight_folder();
  std::vector<std::pair<int, std::string>> records;
  for (int i = 0; i < board.end(); ++i) {
    const Slot& slot = board.slot(i);
    if (folder.empty() || !slot.used) continue;
    if (i != board.index() && (!for_others || runs(slot))) continue;
    records.emplace_back(slot.rank,
                         flight_record(slot, watched.job.host, watched.failures.settled()));
  }
  finishes_within(kWritingS, [folder, records = std::move(records)] {
    for (const auto& [rank, record] : records) write_flight_record(folder, rank, record);
  });
}

// Whether nothing is left to wait for.
bool over(Watched& watched) {
  Board& board = watched.board;
  if (!watched.failures.settled() || !board.notice().announced) return false;
  if (!all_recorded(board)) return false;
  return board.notice().all_failed || board.notice().not_all_failed;
}

}  // namespace

void claim_own(Watched& watched, int code, std::string_view text) {
  Slot& mine = watched.board.mine();
  Standing expected = Standing::kRuns;
  if (!mine.standing.compare_exchange_strong(expected, Standing::kClaims)) return;
  const bool follows = code == kPeerLost && watched.failures.any();
  watched.failures.claim(Source::kProgram, code, text);
  mine.standing = follows ? Standing::kFollows : Standing::kFailed;
}

int wait_for_the_others(Watched& watched) {
  while (watched.failures.age_s() < kGraceS && !over(watched)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const std::optional<Cause> settled = watched.failures.settled();
  return settled ? settled->code : watched.failures.first()->code;
}

void leave_what_is_known(Watched& watched) {
  announce(watched);
  Slot& mine = watched.board.mine();
  if (mine.recorded) return;
  write_records(watched);
  mine.recorded = true;
}

void end_now(Watched& watched) {
  watched.board.close();
  const std::optional<Cause> cause = watched.failures.settled();
  ::_exit(cause ? cause->code : kPeerLost);
}

}  // namespace resnext::watch
