// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/verdict.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <map>

namespace resnext::watch {
namespace {

constexpr size_t kNamed = 4;  // ranks that a verdict describes; of more it gives the number

bool waits(const RankView& view) {
  return waits_for_others(view.phase) || view.device_collective != 0;
}

double waiting_s(const RankView& view) {
  return waits_for_others(view.phase) ? view.in_phase_s : view.device_wait_s;
}

bool over_limit(const RankView& view) {
  return view.in_phase_s > view.limit_s;
}

std::string place(const RankView& view) {
  if (view.phase == Phase::kCollective && view.collective == 0) return "a collective";
  if (view.phase == Phase::kCollective) return fmt::format("collective {}", view.collective);
  if (view.device_collective != 0) return fmt::format("collective {}", view.device_collective);
  return fmt::format("phase {}", name(view.phase));
}

std::string at_step(const RankView& view) {
  return view.step < 0 ? "" : fmt::format(", step {}", view.step);
}

std::string describe(const RankView& view) {
  const std::string who = fmt::format("rank {} on {}", view.rank, view.host);
  const std::string where = place(view), step = at_step(view);
  if (view.dead) return fmt::format("{} died in {}{}", who, where, step);
  return fmt::format("{} {} in {} for {:.1f} s{}", who, view.stopped ? "is stopped" : "is stuck",
                     where, view.in_phase_s, step);
}

Verdict blame(const std::vector<const RankView*>& culprits) {
  Verdict verdict;
  for (const RankView* view : culprits) {
    verdict.culprits.push_back(view->rank);
    if (verdict.culprits.size() > kNamed) continue;
    verdict.text += (verdict.text.empty() ? "" : ", ") + describe(*view);
  }
  const size_t more = culprits.size() - std::min(culprits.size(), kNamed);
  if (more > 0) verdict.text += fmt::format(" and {} more", more);
  return verdict;
}

// Ranks as "rank 3" or "ranks 0, 1, 2".
std::string list(const std::vector<int>& ranks) {
  return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

std::string describe_waiters(const std::vector<const RankView*>& views) {
  std::map<std::string, std::vector<int>> by_place;
  double longest = 0;
  for (const RankView* view : views) {
    by_place[place(*view)].push_back(view->rank);
    longest = std::max(longest, waiting_s(*view));
  }
  if (by_place.size() == 1) {
    return fmt::format("{} wait{} in {} for {:.1f} s", list(by_place.begin()->second),
                       views.size() == 1 ? "s" : "", by_place.begin()->first, longest);
  }
  std::string text;
  for (const auto& [where, ranks] : by_place) {
    text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", list(ranks), where);
  }
  return fmt::format("all wait for each other, the longest for {:.1f} s: {}", longest, text);
}

std::string describe_silent(const std::vector<std::string>& ranks) {
  const size_t named = std::min(ranks.size(), kNamed);
  std::string text = fmt::format("{}", fmt::join(ranks.begin(), ranks.begin() + named, ", "));
  if (named < ranks.size()) text += fmt::format(" and {} more", ranks.size() - named);
  return text + (ranks.size() == 1 ? " is" : " are");
}

// All that are seen wait, longer than they should.
std::optional<Verdict> judge_waiters(const std::vector<const RankView*>& views,
                                     const Unseen& unseen) {
  const bool all = std::ranges::all_of(views, [&](const RankView* view) {
    return waits(*view) && waiting_s(*view) > view->limit_s + unseen.grace_s;
  });
  if (views.empty() || !all) return std::nullopt;
  if (!unseen.not_started.empty()) {
    return Verdict{
        {},
        fmt::format("local rank {} on {} has not started within {:.1f} s",
                    fmt::join(unseen.not_started, ", "), unseen.host, waiting_s(*views.front()))};
  }
  if (!unseen.silent.empty()) {
    return Verdict{
        {}, fmt::format("{} silent; {}", describe_silent(unseen.silent), describe_waiters(views))};
  }
  const std::string others = unseen.others ? " for ranks of other hosts" : "";
  return Verdict{{}, describe_waiters(views) + others};
}

}  // namespace

std::optional<Verdict> judge(std::span<const RankView> ranks, const Unseen& unseen) {
  std::vector<const RankView*> there, dead, lost;
  for (const RankView& view : ranks) {
    if (view.ended) continue;
    there.push_back(&view);
    if (view.dead) dead.push_back(&view);
    if (over_limit(view) && (view.stopped || !waits(view))) lost.push_back(&view);
  }
  if (!dead.empty()) return blame(dead);
  if (!lost.empty()) return blame(lost);
  return judge_waiters(there, unseen);
}

}  // namespace resnext::watch
