// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulation/history.h"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <random>

namespace resnext::test {
namespace {

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15 + 1) {}

  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool one_in(int64_t n) { return between(1, n) == 1; }
  template <class T>
  T of(std::initializer_list<T> list) {
    return list.begin()[between(0, static_cast<int64_t>(list.size()) - 1)];
  }
  uint64_t bits() { return random_(); }

 private:
  std::mt19937_64 random_;
};

RunConfig draw_config(Draw& draw) {
  RunConfig config;
  config.run.output = "/simulated/run";
  config.run.name = "simulated";
  config.log.every_steps = draw.between(1, 5);
  config.log.tensorboard = false;
  config.checkpoint.keep = draw.between(1, 3);
  config.checkpoint.local = draw.one_in(2) ? kLocalFolder : "";
  config.checkpoint.local_every_steps = draw.between(1, 4);
  config.batch.per_rank = 1;
  config.model.classes = 2;
  return config;
}

// What the user of the run has set, and may set otherwise at a later start.
Start draw_settings(Draw& draw) {
  Start start;
  start.images = draw.between(16, 80);
  start.seed = draw.bits() % 1000;
  start.epochs = draw.between(1, 4);
  start.save_steps = draw.of<int64_t>({0, 0, 1, 2, 3, 5, 8, 20});
  start.save_epochs = draw.of<double>({0, 0.5, 1, 1, 1, 2});
  return start;
}

void change_settings(Draw& draw, Start& start) {
  const Start other = draw_settings(draw);
  start.accept_new_data = draw.one_in(2);
  start.steps = draw.one_in(6) ? draw.between(1, 40) : 0;
  if (draw.one_in(8)) start.images = other.images;
  if (draw.one_in(5)) start.seed = other.seed;
  if (draw.one_in(5)) start.epochs = other.epochs;
  if (draw.one_in(5)) start.save_steps = other.save_steps;
  if (draw.one_in(5)) start.save_epochs = other.save_epochs;
}

void draw_shape(Draw& draw, Start& start) {
  start.ranks = static_cast<int>(draw.between(1, 4));
  start.accumulation = draw.between(1, 2);
  const int64_t most = start.images / (start.ranks * start.accumulation);
  start.per_rank = draw.between(1, std::min<int64_t>(8, most));
  start.host_ranks = static_cast<int>(draw.between(1, 4));
  start.first_host = static_cast<int>(draw.between(0, kHosts - 1));
}

void draw_troubles(Draw& draw, Start& start) {
  start.meddling = draw.one_in(2) ? Meddling::kNone : static_cast<Meddling>(draw.between(0, 8));
  if (draw.one_in(6)) start.meddling = Meddling::kGoBack;
  const bool grave = start.meddling == Meddling::kDamageAll || start.meddling == Meddling::kLoseAll;
  if (grave && !draw.one_in(4)) start.meddling = Meddling::kNone;
  start.mishap = static_cast<Mishap>(draw.between(0, 9));
  start.rank = static_cast<int>(draw.between(0, start.ranks - 1));
  const bool by_calls = start.mishap == Mishap::kKillFiles || start.mishap == Mishap::kFailCall;
  start.at = draw.between(1, by_calls ? 150 : 40);
  start.error = draw.of({EIO, ENOSPC, EDQUOT});
  start.power = draw.one_in(2);
  start.asked = draw.one_in(2);
  start.early = draw.one_in(2);
  start.save_lag = draw.between(0, 4);
  start.draw = draw.bits();
}

}  // namespace

History draw_history(uint64_t seed) {
  Draw draw(seed);
  History history;
  history.seed = seed;
  history.config = draw_config(draw);
  history.not_finite = draw.one_in(4);
  history.steps_ahead = draw.one_in(3) ? 2 : 0;
  history.max_restarts = static_cast<int>(draw.of({0, 1, 3, 100}));
  Start start = draw_settings(draw);
  for (int64_t n = draw.between(1, 10); n > 0; --n) {
    if (!history.starts.empty()) change_settings(draw, start);
    draw_shape(draw, start);
    draw_troubles(draw, start);
    history.starts.push_back(start);
  }
  return history;
}

std::string describe(const Start& s) {
  static constexpr const char* kMishaps[] = {
      "none",      "kill rank", "kill in file call", "kill in validation", "failing file call",
      "full disk", "stop",      "flipped weights",   "damaged validation", "flaky files"};
  static constexpr const char* kMeddlings[] = {"none",        "flip bit",    "truncate",
                                               "rename best", "remove best", "point best",
                                               "go back",     "damage all",  "lose all"};
  return fmt::format(
      "{} ranks x {} x {} ({} a host from {}), {} images{}, seed {}, {} epochs, {} steps, save "
      "every {} "
      "steps and {} epochs; before: {}; mishap: {} (rank {}, at {}, error {}){}; save lag {}",
      s.ranks, s.per_rank, s.accumulation, s.host_ranks, s.first_host, s.images,
      s.accept_new_data ? " accepted" : "", s.seed, s.epochs, s.steps, s.save_steps, s.save_epochs,
      kMeddlings[static_cast<int>(s.meddling)], kMishaps[static_cast<int>(s.mishap)], s.rank, s.at,
      s.error, s.power ? ", power" : "", s.save_lag);
}

std::string describe(const History& history) {
  const RunConfig& c = history.config;
  std::string text =
      fmt::format("seed {}: log every {}, keep {}, {} restarts{}{}{}\n", history.seed,
                  c.log.every_steps, c.checkpoint.keep, history.max_restarts,
                  c.checkpoint.local.empty()
                      ? ""
                      : fmt::format(", snapshots every {}", c.checkpoint.local_every_steps),
                  history.not_finite ? ", not finite" : "",
                  history.steps_ahead > 0 ? ", reports come later" : "");
  for (const Start& start : history.starts) text += "  " + describe(start) + "\n";
  return text;
}

}  // namespace resnext::test
