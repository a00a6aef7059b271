// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/views.h"

#include <algorithm>
#include <cstdio>

namespace resnext::watch {
namespace {

double seconds(int64_t ns) {
  return 1e-9 * static_cast<double>(ns);
}

// By a signal: in the system's list of processes. False where it cannot be seen.
bool is_stopped(int pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return false;
  char state = ' ';
  const int read = std::fscanf(file, "%*d (%*[^)]) %c", &state);
  std::fclose(file);
  return read == 1 && (state == 'T' || state == 't');
}

// The configuration is the same on all ranks: who has not read it yet has the others' limit.
double common_limit_s(Board& board) {
  int64_t lowest = 0;
  for (int i = 0; i < board.end(); ++i) {
    const int64_t limit = board.slot(i).limit_ns;
    if (limit > 0 && (lowest == 0 || limit < lowest)) lowest = limit;
  }
  return lowest > 0 ? seconds(lowest) : kDefaultLimitS;
}

RankView view_of(const Slot& slot, const std::string& host, double common_limit, int64_t now) {
  RankView view;
  view.rank = slot.rank;
  view.host = host;
  view.phase = slot.phase.load(std::memory_order_acquire);  // before its beginning is read
  view.collective = slot.collective;
  view.step = slot.step;
  const int64_t resumed = slot.resumed_ns;
  view.in_phase_s = seconds(now - std::max(slot.since_ns.load(), resumed));
  view.limit_s = slot.limit_ns > 0 ? seconds(slot.limit_ns) : common_limit;
  view.device_collective = slot.device_collective;
  view.device_wait_s = seconds(now - std::max(slot.device_since_ns.load(), resumed));
  view.dead = slot.dead;
  view.ended = slot.ended;
  if (!view.ended && !view.dead && view.in_phase_s > view.limit_s) {
    view.stopped = seconds(now - slot.beat_ns) > kStaleS || is_stopped(slot.pid);
  }
  return view;
}

}  // namespace

std::vector<RankView> views_of(Board& board, const std::string& host, int64_t now) {
  const double limit = common_limit_s(board);
  std::vector<RankView> views;
  for (int i = 0; i < board.end(); ++i) {
    if (board.slot(i).used) views.push_back(view_of(board.slot(i), host, limit, now));
  }
  return views;
}

std::vector<RankView> aged(std::vector<RankView> views, double age_s) {
  for (RankView& view : views) {
    view.in_phase_s += age_s;
    view.device_wait_s += age_s;
    view.stopped = view.stopped || age_s > kStaleS;
  }
  return views;
}

void mark_dead(Board& board) {
  const int end = board.end();
  for (int i = 1; i < end; ++i) {
    const int next = (board.index() + i) % end;
    Slot& slot = board.slot(next);
    if (!slot.used || slot.ended) continue;
    if (board.lives(next)) return;
    if (!slot.ended) slot.dead = true;  // it may have ended since
  }
}

}  // namespace resnext::watch
