// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/agreement.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "data/checksum.h"

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

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string trimmed(const std::string& line) {
  const auto begin = line.find_first_not_of(' ');
  return begin == std::string::npos ? line : line.substr(begin);
}

// "'lr: 0.1' on rank 0, 'lr: 0.2' on rank 3".
std::string first_difference(const std::string& ours, const std::string& theirs, int rank,
                             const std::string& host) {
  std::istringstream a(ours), b(theirs);
  std::string x, y;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(a, x));
    const bool more_b = static_cast<bool>(std::getline(b, y));
    if (!more_a) x = "nothing";
    if (!more_b) y = "nothing";
    if (x != y || (!more_a && !more_b)) break;
  }
  return fmt::format("'{}' on rank 0, '{}' on rank {} ({})", trimmed(x), trimmed(y), rank, host);
}

// The lowest rank with another digest of claim `c` than rank 0.
std::optional<int> other_rank(const std::vector<int64_t>& all, size_t claims, size_t c) {
  for (size_t rank = 1; rank * claims < all.size(); ++rank) {
    if (all[rank * claims + c] != all[c]) return static_cast<int>(rank);
  }
  return std::nullopt;
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
    const std::optional<int> rank = other_rank(all, claims.size(), c);
    if (!rank) continue;
    const std::string ours = broadcast_text(communicator, claims[c].text);
    const std::string theirs = broadcast_text(communicator, claims[c].text, *rank);
    const std::string host = broadcast_text(communicator, host_name(), *rank);
    throw Error(claims[c].code, claims[c].name,
                "it is not the same on all ranks: " + first_difference(ours, theirs, *rank, host),
                claims[c].remedy);
  }
}

}  // namespace resnext
