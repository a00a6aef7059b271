// Each rank's contribution is copied when it starts a collective, and the result when it waits: no
// thread ever touches memory of another rank, which may be gone.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/thread_communicator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <type_traits>

#include "tests/comm/bfloat16_reference.h"

namespace resnext::test {
namespace {

using Bytes = std::vector<std::byte>;
using Parts = std::vector<Bytes>;  // by rank
using Seconds = std::chrono::duration<double>;

Bytes copy_of(Buffer buffer) {
  const auto* bytes = static_cast<const std::byte*>(buffer.data);
  return {bytes, bytes + buffer.bytes()};
}

Bfloat16 round_to_bfloat16(float value) {
  return std::isnan(value) ? Bfloat16::of_bits(0x7fc0) : Bfloat16(value);
}

template <class T>
T combined(T a, T b, ReduceOp op) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    return round_to_bfloat16(
        combined(static_cast<float>(a.value()), static_cast<float>(b.value()), op));
  } else {
    if (op == ReduceOp::kMax) return std::max(a, b);
    if (op == ReduceOp::kMin) return std::min(a, b);
    return static_cast<T>(a + b);
  }
}

template <class T>
T divided(T value, int by) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    return round_to_bfloat16(static_cast<float>(value.value()) / static_cast<float>(by));
  } else {
    return static_cast<T>(value / static_cast<T>(by));
  }
}

template <class T>
Bytes reduced(const Parts& parts, ReduceOp op) {
  Bytes result = parts.front();
  auto* values = reinterpret_cast<T*>(result.data());
  const size_t count = result.size() / sizeof(T);
  for (size_t rank = 1; rank < parts.size(); ++rank) {
    const auto* more = reinterpret_cast<const T*>(parts[rank].data());
    for (size_t i = 0; i < count; ++i) values[i] = combined(values[i], more[i], op);
  }
  const int ranks = static_cast<int>(parts.size());
  if (op == ReduceOp::kMean && ranks > 1) {
    for (size_t i = 0; i < count; ++i) values[i] = divided(values[i], ranks);
  }
  return result;
}

Bytes reduced(const Parts& parts, DataType type, ReduceOp op) {
  switch (type) {
    case DataType::kUint8:
      return reduced<uint8_t>(parts, op);
    case DataType::kInt64:
      return reduced<int64_t>(parts, op);
    case DataType::kBfloat16:
      return reduced<Bfloat16>(parts, op);
    case DataType::kFloat32:
      return reduced<float>(parts, op);
    case DataType::kFloat64:
      return reduced<double>(parts, op);
  }
  return {};
}

std::string describe(const char* name, Buffer buffer, int detail) {
  return std::string(name) + " of " + std::to_string(buffer.count) + " of type " +
         std::to_string(static_cast<int>(buffer.type)) + " (" + std::to_string(detail) + ")";
}

void check_buffer(const char* name, Buffer buffer) {
  if (!buffer.device) return;
  throw Error(ExitCode::kInternal, name, "threads share host memory only", "copy the buffer");
}

}  // namespace

struct ThreadCommunicator::World {
  struct Collective {
    std::string what;          // as the first rank called it
    std::string disagreement;  // of another rank
    Parts parts;
    std::vector<bool> called;
    size_t calls = 0;
    Bytes result;
    size_t results_taken = 0;

    bool complete() const { return calls == called.size() && disagreement.empty(); }
  };

  World(int ranks, double timeout) : ended(static_cast<size_t>(ranks)), timeout_s(timeout) {}

  // Why a collective will never complete; empty: it still may.
  std::string obstacle(const Collective& collective) const {
    if (!collective.disagreement.empty()) return collective.disagreement;
    for (size_t rank = 0; rank < ended.size(); ++rank) {
      if (ended[rank] && !collective.called[rank]) return missing(rank) + " has ended";
    }
    return "";
  }
  static std::string missing(size_t rank) { return "rank " + std::to_string(rank); }
  std::string all_missing(const Collective& collective) const {
    std::string names;
    for (size_t rank = 0; rank < ended.size(); ++rank) {
      if (!collective.called[rank]) names += missing(rank) + " ";
    }
    return names + "did not come within " + std::to_string(timeout_s) + " s";
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::map<Ticket, Collective> collectives;
  std::map<std::pair<int, int>, std::shared_ptr<World>> groups;  // by split and place
  std::vector<bool> ended;                                       // by rank
  const double timeout_s;
};

ThreadCommunicator::ThreadCommunicator(std::shared_ptr<World> world, int rank)
    : world_(std::move(world)), rank_(rank) {}

ThreadCommunicator::~ThreadCommunicator() {
  const std::lock_guard lock(world_->mutex);
  world_->ended[static_cast<size_t>(rank_)] = true;
  world_->changed.notify_all();
}

int ThreadCommunicator::size() const {
  return static_cast<int>(world_->ended.size());
}

Ticket ThreadCommunicator::start(const std::string& what, Buffer in, Buffer out,
                                 const Combine& combine) {
  const Ticket ticket = ++started_;
  results_[ticket] = out;
  const std::lock_guard lock(world_->mutex);
  World::Collective& collective = world_->collectives[ticket];
  if (collective.what.empty()) {
    collective.what = what;
    collective.parts.resize(world_->ended.size());
    collective.called.resize(world_->ended.size());
  }
  if (collective.what != what) {
    collective.disagreement = World::missing(rank_) + " calls " + what + " instead";
  }
  collective.parts[rank_] = copy_of(in);
  collective.called[rank_] = true;
  ++collective.calls;
  if (collective.complete()) collective.result = combine(collective.parts);
  if (collective.calls == world_->ended.size() || !collective.disagreement.empty()) {
    world_->changed.notify_all();
  }
  return ticket;
}

void ThreadCommunicator::wait(Ticket ticket) {
  while (!results_.empty() && results_.begin()->first <= ticket) {
    const auto [first, out] = *results_.begin();
    results_.erase(results_.begin());
    finish(first, out);
  }
}

void ThreadCommunicator::finish(Ticket ticket, Buffer out) {
  std::unique_lock lock(world_->mutex);
  World::Collective& collective = world_->collectives[ticket];
  std::string obstacle;
  const bool settled = world_->changed.wait_for(lock, Seconds(world_->timeout_s), [&] {
    return collective.complete() || !(obstacle = world_->obstacle(collective)).empty();
  });
  if (!settled) obstacle = world_->all_missing(collective);
  if (!obstacle.empty()) {
    throw LostRank(
        "rank " + std::to_string(rank_),
        "collective " + std::to_string(ticket) + " (" + collective.what + "): " + obstacle,
        "start again from the last checkpoint");
  }
  std::copy(collective.result.begin(), collective.result.end(), static_cast<std::byte*>(out.data));
  if (++collective.results_taken == world_->ended.size()) world_->collectives.erase(ticket);
}

Ticket ThreadCommunicator::start_all_reduce(Buffer buffer, ReduceOp op) {
  check_buffer("all_reduce", buffer);
  const bool whole = buffer.type == DataType::kUint8 || buffer.type == DataType::kInt64;
  if (whole && op == ReduceOp::kMean && size() > 1) {
    throw CommError("all_reduce", "the mean of integers was asked for", "reduce their sum");
  }
  return start(describe("all_reduce", buffer, static_cast<int>(op)), buffer, buffer,
               [=](const Parts& parts) { return reduced(parts, buffer.type, op); });
}

void ThreadCommunicator::broadcast(Buffer buffer, int root) {
  check_buffer("broadcast", buffer);
  if (root < 0 || root >= size()) {
    throw CommError("broadcast", "root " + std::to_string(root) + " is no rank",
                    "name a rank below the world size");
  }
  const Buffer mine = rank_ == root ? buffer : Buffer{};
  wait(start(describe("broadcast", buffer, root), mine, buffer,
             [=](const Parts& parts) { return parts[static_cast<size_t>(root)]; }));
}

void ThreadCommunicator::all_gather(Buffer mine, Buffer all) {
  check_buffer("all_gather", mine);
  check_buffer("all_gather", all);
  if (all.count != mine.count * world_->ended.size() || all.type != mine.type) {
    throw CommError("all_gather", "the buffer has no place for each rank's part",
                    "give one of size() times the part");
  }
  wait(start(describe("all_gather", mine, 0), mine, all, [](const Parts& parts) {
    Bytes result;
    for (const Bytes& part : parts) result.insert(result.end(), part.begin(), part.end());
    return result;
  }));
}

std::unique_ptr<Communicator> ThreadCommunicator::split(int ranks) {
  const std::lock_guard lock(world_->mutex);
  std::shared_ptr<World>& group = world_->groups[{splits_++, rank_ / ranks}];
  if (!group) group = std::make_shared<World>(ranks, world_->timeout_s);
  return std::make_unique<ThreadCommunicator>(group, rank_ % ranks);
}

// ---- threads ----

namespace {

void end_process_of_hanging_ranks(const std::vector<bool>& ended) {
  for (size_t rank = 0; rank < ended.size(); ++rank) {
    if (!ended[rank]) std::fprintf(stderr, "rank %zu of a test hangs\n", rank);
  }
  std::abort();
}

}  // namespace

std::vector<std::exception_ptr> outcomes_of_ranks(int ranks,
                                                  const std::function<void(Communicator&)>& f,
                                                  double timeout_s) {
  const auto world = std::make_shared<ThreadCommunicator::World>(ranks, timeout_s);
  std::vector<std::exception_ptr> outcomes(static_cast<size_t>(ranks));
  const auto run = [&](int rank) {
    ThreadCommunicator communicator(world, rank);
    try {
      f(communicator);
    } catch (...) {
      outcomes[static_cast<size_t>(rank)] = std::current_exception();
    }
  };
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back(run, rank);
  std::unique_lock lock(world->mutex);
  const auto all_ended = [&] { return std::ranges::count(world->ended, false) == 0; };
  if (!world->changed.wait_for(lock, Seconds(10 * timeout_s), all_ended)) {
    end_process_of_hanging_ranks(world->ended);
  }
  return outcomes;
}

void run_ranks(int ranks, const std::function<void(Communicator&)>& f, double timeout_s) {
  std::exception_ptr lost;
  for (const std::exception_ptr& outcome : outcomes_of_ranks(ranks, f, timeout_s)) {
    if (!outcome) continue;
    try {
      std::rethrow_exception(outcome);
    } catch (const LostRank&) {
      if (!lost) lost = outcome;
    }
  }
  if (lost) std::rethrow_exception(lost);
}

}  // namespace resnext::test
