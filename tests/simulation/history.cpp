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
  config.run.seed = draw.bits() % 1000;
  config.run.epochs = draw.between(1, 4);
  config.log.every_steps = draw.between(1, 5);
  config.log.tensorboard = false;
  config.checkpoint.keep = draw.between(1, 3);
  config.checkpoint.every_steps = draw.of<int64_t>({0, 1, 2, 3, 5, 8});
  config.checkpoint.every_epochs = draw.of<double>({0, 0.5, 1, 1, 1, 2});
  config.batch.per_rank = 1;
  config.model.classes = 2;
  return config;
}

Start draw_start(Draw& draw, int64_t images) {
  Start start;
  start.ranks = static_cast<int>(draw.between(1, 4));
  start.accumulation = draw.between(1, 2);
  const int64_t most = images / (start.ranks * start.accumulation);
  start.per_rank = draw.between(1, std::min<int64_t>(8, most));
  start.meddling = draw.one_in(2) ? Meddling::kNone : static_cast<Meddling>(draw.between(0, 7));
  if (start.meddling == Meddling::kDamageAll && !draw.one_in(4)) start.meddling = Meddling::kNone;
  start.mishap = static_cast<Mishap>(draw.between(0, 8));
  start.rank = static_cast<int>(draw.between(0, start.ranks - 1));
  start.at = start.mishap == Mishap::kKillFiles || start.mishap == Mishap::kFailCall
                 ? draw.between(1, 150)
                 : draw.between(1, 40);
  start.error = draw.of({EIO, ENOSPC, EDQUOT});
  start.power = draw.one_in(2);
  start.save_lag = draw.between(0, 4);
  start.draw = draw.bits();
  return start;
}

}  // namespace

History draw_history(uint64_t seed) {
  Draw draw(seed);
  History history;
  history.seed = seed;
  history.images = draw.between(16, 80);
  history.config = draw_config(draw);
  history.not_finite = draw.one_in(4);
  history.steps_ahead = draw.one_in(3) ? 2 : 0;
  for (int64_t n = draw.between(1, 6); n > 0; --n) {
    history.starts.push_back(draw_start(draw, history.images));
  }
  return history;
}

std::string describe(const History& history) {
  const RunConfig& c = history.config;
  std::string text = fmt::format(
      "seed {}: {} images, {} epochs, log every {}, keep {}, save every {} steps and {} "
      "epochs{}{}\n",
      history.seed, history.images, c.run.epochs, c.log.every_steps, c.checkpoint.keep,
      c.checkpoint.every_steps, c.checkpoint.every_epochs, history.not_finite ? ", not finite" : "",
      history.steps_ahead > 0 ? ", reports come later" : "");
  static constexpr const char* kMishaps[] = {
      "none",      "kill rank", "kill in file call", "kill in validation", "failing file call",
      "full disk", "stop",      "flipped weights",   "damaged validation"};
  static constexpr const char* kMeddlings[] = {"none",        "flip bit",    "truncate",
                                               "rename best", "remove best", "point best",
                                               "go back",     "damage all"};
  for (const Start& s : history.starts) {
    text += fmt::format(
        "  {} ranks x {} x {}: before: {}; mishap: {} (rank {}, at {}, error {}){}\n", s.ranks,
        s.per_rank, s.accumulation, kMeddlings[static_cast<int>(s.meddling)],
        kMishaps[static_cast<int>(s.mishap)], s.rank, s.at, s.error, s.power ? ", power" : "");
  }
  return text;
}

}  // namespace resnext::test
