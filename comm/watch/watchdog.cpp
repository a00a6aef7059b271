// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/watchdog.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "comm/common/error.h"
#include "comm/watch/aftermath.h"
#include "comm/watch/views.h"
#include "comm/watch/watched.h"

namespace resnext::watch {
namespace {

constexpr int kPollMs = 20;
constexpr double kReportS = 0.2;     // between two messages to another host
constexpr double kSettleS = 0.3;     // for a cause that tells more than a lost peer
constexpr double kFarSettleS = 1.5;  // for the ruling of rank 0
constexpr double kResumeS = 2;       // a gap after which this process must have been stopped
// What waiters are given where not all is seen: who sees most speaks first.
constexpr double kRank0GraceS = 2 * kWaitersGrace;
constexpr double kLeaderGraceS = 2.5 * kWaitersGrace;
constexpr double kFollowerGraceS = 3 * kWaitersGrace;
constexpr double kOrderS = 5;  // for MPI to be left in order after a failure of all

double seconds_since(int64_t ns) {
  return 1e-9 * static_cast<double>(now_ns() - ns);
}

}  // namespace

struct Watchdog::Impl : Watched {
  const pid_t parent = ::getppid();
  std::mutex link_mutex;  // guards link between meet() and the watchdog's thread
  HostLink link;
  std::atomic<bool> stopping{false};
  std::thread thread;

  // The watchdog's thread alone:
  Layout lie;                          // layout() at this moment
  std::vector<HostLink::Heard> heard;  // of rank 0: the other hosts
  int64_t sent_ns = 0;
  int64_t far_ns = 0;      // when another host first told of a failure
  int64_t settled_ns = 0;  // when the first cause had settled

  explicit Impl(const Job& j) : Watched(j) {}

  int rank() { return board.mine().rank; }
  bool rules() { return !lie.several || rank() == 0; }

  void run() {
    while (!stopping) {
      wait_a_moment();
      look();
    }
    const std::lock_guard lock(link_mutex);
    if (lie.leads && rank() != 0) link.report(own_report());  // that this host has ended
  }

  void look() {
    lie = layout();
    beat();
    mark_dead(board);
    if (!failures.any()) accuse();
    if (lie.leads) exchange();
    settle();
    if (!failures.settled()) return;
    if (settled_ns == 0) settled_ns = now_ns();
    leave_what_is_known(*this);
    const double grace = board.notice().all_failed ? kOrderS : kGraceS + kSettleS;
    if (seconds_since(settled_ns) > grace) end_now(*this);
  }

  void wait_a_moment() {
    std::vector<pollfd> waited;
    {
      const std::lock_guard lock(link_mutex);
      for (const int socket : link.sockets()) waited.push_back({socket, POLLIN, 0});
    }
    const int64_t before = now_ns();
    ::poll(waited.data(), waited.size(), kPollMs);
    if (seconds_since(before) < 0.002) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  // A gap in the beats: the process was stopped, and goes on.
  void beat() {
    Slot& mine = board.mine();
    if (seconds_since(mine.beat_ns) > kResumeS) mine.resumed_ns = now_ns();
    mine.beat_ns = now_ns();
  }

  // ---- who is to blame

  void accuse() {
    if (!job.key.empty() && ::getppid() != parent) {
      return claim("the process that has started this rank is gone", "start the job again");
    }
    const int64_t resumed = board.mine().resumed_ns;
    if (resumed != 0 && seconds_since(resumed) < kResumeS) return;  // others may still be stopped
    const char* remedy = "start again from the last checkpoint, or raise comm.timeout_s";
    if (const auto verdict = judge(all_views(), unseen())) return claim(verdict->text, remedy);
    if (lie.leads && rank() != 0) accuse_rank_0();
  }

  void claim(const std::string& text, const char* remedy) {
    const CommError error("lost peer", text, remedy);
    failures.claim(Source::kWatchdog, static_cast<int>(error.exit_code()), error.what());
  }

  void accuse_rank_0() {
    const std::lock_guard lock(link_mutex);
    const std::optional<double> silence = link.silence_s();
    if (!silence || board.mine().phase == Phase::kEnd) return;
    const int64_t limit = board.mine().limit_ns;
    const double limit_s = limit > 0 ? 1e-9 * static_cast<double>(limit) : kDefaultLimitS;
    if (*silence < kStaleS + (link.connected() ? limit_s : 0)) return;
    claim(fmt::format("rank 0 on {} is silent for {:.1f} s", lie.hosts.front(), *silence),
          "start again from the last checkpoint");
  }

  // This board's; on rank 0 all that were heard of.
  std::vector<RankView> all_views() {
    std::vector<RankView> views = views_of(board, job.host, now_ns());
    for (const HostLink::Heard& it : heard) {
      for (RankView& view : far_views(it)) views.push_back(std::move(view));
    }
    return views;
  }

  // A connection that has closed: the leader has died, unless the job is at its end.
  static std::vector<RankView> far_views(const HostLink::Heard& it) {
    std::vector<RankView> views = aged(it.report.ranks, it.age_s);
    const bool lost = !it.connected && it.age_s > kStaleS;
    for (RankView& view : views) {
      const bool leader = view.rank == it.report.leader && view.phase != Phase::kEnd;
      view.dead = view.dead || (lost && leader);
    }
    return views;
  }

  Unseen unseen() {
    Unseen unseen;
    unseen.host = job.host;
    if (!lie.known) {
      unseen.others = job.local_size < job.size;
      for (int i = 0; i < std::min(job.local_size, kSlots); ++i) {
        if (!board.slot(i).used) unseen.not_started.push_back(i);
      }
    } else if (lie.several) {
      unseen.silent = silent_ranks();
      unseen.others = rank() != 0 || !unseen.silent.empty();
    }
    if (unseen.others)
      unseen.grace_s = rank() == 0 ? kRank0GraceS : lie.leads ? kLeaderGraceS : kFollowerGraceS;
    return unseen;
  }

  // That this rank ought to hear and never has.
  std::vector<std::string> silent_ranks() {
    if (!lie.leads) return {};
    const auto named = [&](int r) {
      return fmt::format("rank {} on {}", r, lie.hosts[static_cast<size_t>(r)]);
    };
    if (rank() != 0) {
      const std::lock_guard lock(link_mutex);
      return link.silence_s() ? std::vector<std::string>{} : std::vector{named(0)};
    }
    std::set<int> known(lie.members.begin(), lie.members.end());
    for (const HostLink::Heard& it : heard) {
      for (const RankView& view : it.report.ranks) known.insert(view.rank);
    }
    std::vector<std::string> silent;
    for (int r = 0; r < lie.size; ++r) {
      if (!known.contains(r)) silent.push_back(named(r));
    }
    return silent;
  }

  // ---- between hosts

  void exchange() {
    const std::lock_guard lock(link_mutex);
    const bool due = failures.any() || seconds_since(sent_ns) > kReportS;
    if (due) sent_ns = now_ns();
    if (rank() == 0) {
      hear();
      if (due) link.tell(own_ruling());
    } else {
      if (const auto ruling = link.ruling()) obey(*ruling);
      if (due) link.report(own_report());
    }
  }

  void hear() {
    heard = link.hear();
    for (const HostLink::Heard& it : heard) {
      if (it.report.first) adopt(*it.report.first);
    }
    if (announced_somewhere()) board.notice().announced = true;
  }

  bool announced_somewhere() {
    return board.notice().announced ||
           std::ranges::any_of(heard, [](const auto& it) { return it.report.announced; });
  }

  // Another host's first cause becomes the job's, unless one here tells as much.
  void adopt(const Cause& far) {
    if (far_ns == 0) far_ns = now_ns();
    const std::optional<Cause> own = failures.first();
    if (own && (own->tells || !far.tells)) return;
    if (far.tells || seconds_since(far_ns) > kSettleS) failures.settle(far);
  }

  // Mostly it is this host's own claim that comes back.
  void obey(const Ruling& ruling) {
    const std::optional<Cause> own = failures.first();
    if (ruling.cause && own && own->rank == ruling.cause->rank && own->code == ruling.cause->code) {
      failures.settle();
    } else if (ruling.cause) {
      failures.settle(*ruling.cause);
    }
    if (ruling.all_failed) board.notice().all_failed = true;
    if (ruling.not_all_failed) board.notice().not_all_failed = true;
    if (ruling.announced) board.notice().announced = true;
  }

  Ruling own_ruling() {
    const Notice& notice = board.notice();
    return {failures.settled(), notice.all_failed, notice.not_all_failed, announced_somewhere()};
  }

  Report own_report() {
    Report report;
    report.leader = rank();
    report.ranks = views_of(board, job.host, now_ns());
    report.standings = own_standings();
    report.first = failures.first();
    report.announced = board.notice().announced;
    return report;
  }

  // ---- the first cause

  void settle() {
    const std::optional<Cause> first = failures.first();
    if (!first) return;
    if (rules()) count_failed();
    const double wait = rules() ? (first->tells ? 0 : kSettleS) : kFarSettleS;
    if (failures.age_s() >= wait) failures.settle();
  }

  void count_failed() {
    std::vector<Standing> standings = own_standings();
    for (const HostLink::Heard& it : heard) {
      standings.insert(standings.end(), it.report.standings.begin(), it.report.standings.end());
    }
    const auto failed = std::ranges::count(standings, Standing::kFailed);
    if (lie.known && failed >= lie.size) board.notice().all_failed = true;
    if (std::ranges::count(standings, Standing::kFollows) > 0) {
      board.notice().not_all_failed = true;
    }
  }

  std::vector<Standing> own_standings() {
    std::vector<Standing> standings;
    for (int i = 0; i < board.end(); ++i) {
      if (board.slot(i).used) standings.push_back(board.slot(i).standing);
    }
    return standings;
  }
};

Watchdog::Watchdog(const Job& job) : impl_(std::make_unique<Impl>(job)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  current = impl_.get();
}

Watchdog::~Watchdog() {
  current = nullptr;
  impl_->board.mine().ended = true;
  impl_->stopping = true;
  impl_->thread.join();
}

Introduction Watchdog::introduction() const {
  Introduction mine;
  mine.board = impl_->board.notice().id;
  impl_->job.host.copy(mine.host.data(), mine.host.size() - 1);
  return mine;
}

Meeting Watchdog::listen() {
  const std::lock_guard lock(impl_->link_mutex);
  return impl_->link.listen();
}

void Watchdog::meet(int rank, const std::vector<Introduction>& all, const Meeting& meeting) {
  Watched::Layout layout;
  layout.known = true;
  layout.size = static_cast<int>(all.size());
  for (int r = 0; r < layout.size; ++r) {
    const Introduction& it = all[static_cast<size_t>(r)];
    layout.hosts.emplace_back(it.host.data());
    if (it.board == impl_->board.notice().id) layout.members.push_back(r);
  }
  layout.several = static_cast<int>(layout.members.size()) < layout.size;
  layout.leads = layout.several && layout.members.front() == rank;
  impl_->board.mine().rank = rank;
  impl_->board.close();
  {
    const std::lock_guard lock(impl_->link_mutex);
    if (layout.leads && rank != 0) impl_->link.connect(meeting);
  }
  impl_->set_layout(std::move(layout));
}

}  // namespace resnext::watch
