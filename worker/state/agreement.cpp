// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/agreement.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "comm/common/host.h"
#include "data/container/checksum.h"

namespace resnext {
namespace {

// Ends a decision that is an error: its code in front of its line.
constexpr char kText = 't';
constexpr char kError = 'e';

std::string attempt(const std::function<std::string()>& f) {
  try {
    return kText + f();
  } catch (const std::exception& exception) {
    const Error error = to_error(exception);
    return fmt::format("{}{:03}{}", kError, static_cast<int>(error.exit_code()), error.what());
  }
}

[[noreturn]] void throw_error(const std::string& outcome) {
  throw Error(static_cast<ExitCode>(std::stoi(outcome.substr(1, 3))), "", outcome.substr(4), "");
}

// Length and checksum: two texts of equal digests are taken to be equal.
int64_t digest(const std::string& text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  return static_cast<int64_t>(crc32c({bytes, text.size()})) ^
         static_cast<int64_t>(text.size() << 32U);
}

std::string trimmed(const std::string& line) {
  const auto begin = line.find_first_not_of(' ');
  return begin == std::string::npos ? line : line.substr(begin);
}

// A rank and what it claims.
struct Claimant {
  int rank = 0;
  std::string text, host;
};

// "'lr: 0.1' on rank 0, 'lr: 0.2' on rank 3 (host)".
std::string first_difference(const Claimant& usual, const Claimant& odd) {
  std::istringstream a(usual.text), b(odd.text);
  std::string x, y;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(a, x));
    const bool more_b = static_cast<bool>(std::getline(b, y));
    if (!more_a) x = "nothing";
    if (!more_b) y = "nothing";
    if (x != y || (!more_a && !more_b)) break;
  }
  return fmt::format("'{}' on rank {}, '{}' on rank {} ({})", trimmed(x), usual.rank, trimmed(y),
                     odd.rank, odd.host);
}

// The lowest rank that claims what most do, else rank 0; and the lowest that claims another thing.
std::optional<std::pair<int, int>> usual_and_odd(const std::vector<int64_t>& all, size_t claims,
                                                 size_t c) {
  const size_t ranks = all.size() / claims;
  const auto digest_of = [&](size_t rank) { return all[rank * claims + c]; };
  size_t odd = 0;
  while (odd < ranks && digest_of(odd) == digest_of(0)) ++odd;
  if (odd == ranks) return std::nullopt;
  const auto most = [&](size_t rank) {
    size_t same = 0;
    for (size_t other = 0; other < ranks; ++other) same += digest_of(other) == digest_of(rank);
    return 2 * same > ranks;
  };
  size_t usual = 0;
  for (size_t rank = ranks; rank-- > 0;) usual = most(rank) ? rank : usual;
  if (digest_of(0) != digest_of(usual)) odd = 0;
  return std::pair(static_cast<int>(usual), static_cast<int>(odd));
}

Claimant claimant(Communicator& communicator, const std::string& text, int rank) {
  return {rank, broadcast_text(communicator, text, rank),
          broadcast_text(communicator, host_name(), rank)};
}

}  // namespace

std::string broadcast_text(Communicator& communicator, std::string text, int root) {
  auto size = static_cast<int64_t>(text.size());
  communicator.broadcast({&size, 1, DataType::kInt64}, root);
  text.resize(static_cast<size_t>(size));
  if (size > 0) communicator.broadcast({text.data(), text.size(), DataType::kUint8}, root);
  return text;
}

std::string decide(Communicator& communicator, const std::function<std::string()>& f) {
  std::string outcome = communicator.rank() == 0 ? attempt(f) : "";
  outcome = broadcast_text(communicator, std::move(outcome));
  if (outcome.front() == kText) return outcome.substr(1);
  throw_error(outcome);
}

void on_rank_0(Communicator& communicator, const std::function<void()>& f) {
  decide(communicator, [&] {
    f();
    return std::string();
  });
}

void throw_together(Communicator& communicator, const std::exception_ptr& mine) {
  int64_t first = mine ? communicator.rank() : communicator.size();
  communicator.all_reduce({&first, 1, DataType::kInt64}, ReduceOp::kMin);
  std::string outcome;
  if (first == communicator.rank()) {
    outcome = attempt([&]() -> std::string { std::rethrow_exception(mine); });
  }
  throw_error(broadcast_text(communicator, std::move(outcome), static_cast<int>(first)));
}

void wait_together(Communicator& communicator, const std::function<bool(double)>& done) {
  constexpr double kPatience_s = 0.5;
  for (uint8_t over = 0; over == 0;) {
    if (communicator.rank() == 0) over = done(kPatience_s) ? 1 : 0;
    communicator.broadcast({&over, 1, DataType::kUint8}, 0);
  }
}

void check_agreement(Communicator& communicator, const std::vector<Claim>& claims) {
  std::vector<int64_t> mine;
  for (const Claim& claim : claims) mine.push_back(digest(claim.text));
  std::vector<int64_t> all(mine.size() * static_cast<size_t>(communicator.size()));
  communicator.all_gather({mine.data(), mine.size(), DataType::kInt64},
                          {all.data(), all.size(), DataType::kInt64});
  for (size_t c = 0; c < claims.size(); ++c) {
    const auto ranks = usual_and_odd(all, claims.size(), c);
    if (!ranks) continue;
    const Claimant usual = claimant(communicator, claims[c].text, ranks->first);
    const Claimant odd = claimant(communicator, claims[c].text, ranks->second);
    throw Error(claims[c].code, claims[c].name,
                "it is not the same on all ranks: " + first_difference(usual, odd),
                claims[c].remedy);
  }
}

}  // namespace resnext
