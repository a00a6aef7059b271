// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/failures.h"

#include "comm/common/error.h"

namespace resnext::watch {
namespace {

// A place on the board: which failure, and whether it tells more than a lost peer.
constexpr uint32_t kTells = 1u << 16;
constexpr uint32_t kFar = 0xffff;

constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);

}  // namespace

void Failures::claim(Source source, int code, std::string_view text) {
  const int kind = static_cast<int>(source);
  Failure& mine = board_.mine().failures[static_cast<size_t>(kind)];
  if (mine.code != 0) return;
  mine.write(board_.mine().rank, code, text);
  const bool tells = source == Source::kWatchdog || code != kPeerLost;
  take(static_cast<uint32_t>(2 * board_.index() + kind + 1) | (tells ? kTells : 0));
}

void Failures::take(uint32_t place) {
  Notice& notice = board_.notice();
  uint32_t held = 0;
  do {
    if (notice.settled != 0 || (held & kTells) != 0 || (held != 0 && (place & kTells) == 0)) return;
    if (held == 0) notice.first_ns = now_ns();
  } while (!notice.first.compare_exchange_weak(held, place, std::memory_order_acq_rel));
}

void Failures::settle() {
  uint32_t none = 0;
  board_.notice().settled.compare_exchange_strong(none, board_.notice().first);
}

void Failures::settle(const Cause& far) {
  Notice& notice = board_.notice();
  if (notice.settled != 0) return;
  notice.far.write(far.rank, far.code, far.text);
  if (notice.first == 0) notice.first_ns = now_ns();
  uint32_t none = 0;
  if (!notice.settled.compare_exchange_strong(none, kFar)) return;
  notice.first = kFar;
}

double Failures::age_s() const {
  return 1e-9 * static_cast<double>(now_ns() - board_.notice().first_ns);
}

std::optional<Cause> Failures::cause(uint32_t place) const {
  if (place == 0) return std::nullopt;
  const uint32_t number = place & kFar;
  const Failure& failure =
      number == kFar ? board_.notice().far
                     : board_.slot(static_cast<int>(number - 1) / 2).failures[(number - 1) % 2];
  return Cause{failure.rank, failure.code, failure.read(), (place & kTells) != 0};
}

}  // namespace resnext::watch
