// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/sweep_halving.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "comm/common/error.h"

namespace resnext {
namespace {

struct Contender {
  std::string group;
  std::vector<const Trial*> trials;
};

std::vector<Contender> all_groups(const std::vector<Trial>& trials) {
  std::vector<Contender> groups;
  std::map<std::string, size_t> places;
  for (const Trial& trial : trials) {
    const auto [place, is_new] = places.emplace(trial.group, groups.size());
    if (is_new) groups.push_back({trial.group, {}});
    groups[place->second].trials.push_back(&trial);
  }
  return groups;
}

bool has_diverged(const TrialRecord& record) {
  return record.exit_code == static_cast<int>(ExitCode::kDiverged);
}

std::vector<std::string> missing(const std::vector<Contender>& contenders, int64_t epochs,
                                 const SweepJournal& journal) {
  std::vector<std::string> names;
  for (const Contender& contender : contenders) {
    for (const Trial* trial : contender.trials) {
      const TrialRecord record = journal.record(trial->name);
      if (!record.rungs.contains(epochs) && !has_diverged(record)) names.push_back(trial->name);
    }
  }
  return names;
}

// The mean over its trials; none when one of them has none.
std::optional<double> score_of(const Contender& contender, int64_t epochs,
                               const SweepJournal& journal) {
  double sum = 0;
  for (const Trial* trial : contender.trials) {
    const auto rungs = journal.record(trial->name).rungs;
    const auto found = rungs.find(epochs);
    if (found == rungs.end() || !found->second || !std::isfinite(*found->second)) {
      return std::nullopt;
    }
    sum += *found->second;
  }
  return sum / static_cast<double>(contender.trials.size());
}

// keep * n as meant: 0.29 * 100 is 29, which it is not quite in binary.
size_t number_kept(double keep, size_t contenders) {
  constexpr double kSlack = 1e-9;
  const double share = keep * static_cast<double>(contenders);
  return std::max<size_t>(1, static_cast<size_t>(share + kSlack));
}

void rank(RungDecision& decision) {
  std::vector<std::pair<std::string, double>> ranked;
  for (const auto& [group, score] : decision.scores) {
    if (score) ranked.emplace_back(group, *score);
  }
  std::ranges::stable_sort(ranked, [&](const auto& a, const auto& b) {
    return decision.goal == Goal::kMax ? a.second > b.second : a.second < b.second;
  });
  const size_t kept = number_kept(decision.keep, decision.scores.size());
  ranked.resize(std::min(kept, ranked.size()));
  for (const auto& [group, score] : ranked) decision.kept.push_back(group);
}

// That it was made of the same contenders by the same rule.
bool is_of(const RungDecision& written, const RungDecision& wanted,
           const std::vector<Contender>& contenders) {
  return written.epochs == wanted.epochs && written.metric == wanted.metric &&
         written.goal == wanted.goal && written.keep == wanted.keep &&
         std::ranges::equal(written.scores, contenders, {},
                            &decltype(written.scores)::value_type::first, &Contender::group);
}

std::string list(const RungDecision& decision, bool kept) {
  std::vector<std::string> parts;
  for (const auto& [group, score] : decision.scores) {
    if ((std::ranges::count(decision.kept, group) > 0) != kept) continue;
    parts.push_back(score ? fmt::format("{} {:.4g}", group, *score) : group + " diverged");
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

Halving halve(const StopRule& rule, const std::vector<Trial>& trials, const SweepJournal& journal) {
  Halving halving;
  if (rule.rungs.empty()) return halving;
  std::vector<Contender> contenders = all_groups(trials);
  for (; halving.rung < rule.rungs.size(); ++halving.rung) {
    const int64_t epochs = rule.rungs[halving.rung];
    const int rung = static_cast<int>(halving.rung) + 1;
    RungDecision decision{rung, epochs, rule.metric, rule.goal, rule.keep, {}, {}};
    const RungDecision* written = journal.decision(rung);
    if (written != nullptr && is_of(*written, decision, contenders)) {
      decision = *written;
    } else {
      halving.awaited = missing(contenders, epochs, journal);
      if (!halving.awaited.empty()) {
        halving.pause = epochs;
        return halving;
      }
      for (const Contender& contender : contenders) {
        decision.scores.emplace_back(contender.group, score_of(contender, epochs, journal));
      }
      rank(decision);
      halving.made.push_back(decision);
    }
    std::erase_if(contenders, [&](const Contender& contender) {
      if (std::ranges::count(decision.kept, contender.group) > 0) return false;
      for (const Trial* trial : contender.trials) halving.stopped_at[trial->name] = rung;
      return true;
    });
  }
  return halving;
}

std::string describe(const RungDecision& decision) {
  return fmt::format("rung {} ({} epochs): {} of {} go on by {}: {}; stopped: {}", decision.rung,
                     decision.epochs, decision.kept.size(), decision.scores.size(), decision.metric,
                     list(decision, true), list(decision, false));
}

}  // namespace resnext
