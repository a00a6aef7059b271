// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace resnext::watch {
namespace {

constexpr uint32_t kLongest = 1 << 20;  // bytes of a message: 256 ranks need a tenth of it

struct RankOnWire {
  char host[64];
  uint64_t collective, device_collective;
  int64_t step;
  double in_phase_s, limit_s, device_wait_s;
  int32_t rank;
  Phase phase;
  Standing standing;
  bool dead, stopped, ended;
};

struct CauseOnWire {
  char text[500];
  int32_t rank, code;  // code 0: none
  bool tells;
};

template <size_t N>
void copy(const std::string& from, char (&to)[N]) {
  const size_t length = std::min(from.size(), N - 1);
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

template <size_t N>
std::string text(const char (&from)[N]) {
  return {from, ::strnlen(from, N)};
}

template <class T>
void put(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
bool take(const std::string& bytes, size_t& at, T& value) {
  if (bytes.size() - at < sizeof value) return false;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  at += sizeof value;
  return true;
}

void put_cause(std::string& bytes, const std::optional<Cause>& cause) {
  CauseOnWire it{};
  if (cause) {
    it.rank = cause->rank;
    it.code = cause->code;
    it.tells = cause->tells;
    copy(cause->text, it.text);
  }
  put(bytes, it);
}

bool take_cause(const std::string& bytes, size_t& at, std::optional<Cause>& cause) {
  CauseOnWire it{};
  if (!take(bytes, at, it)) return false;
  if (it.code != 0) cause = Cause{it.rank, it.code, text(it.text), it.tells};
  return true;
}

RankOnWire on_wire(const RankView& view, Standing standing) {
  RankOnWire it{};
  copy(view.host, it.host);
  it.collective = view.collective;
  it.device_collective = view.device_collective;
  it.step = view.step;
  it.in_phase_s = view.in_phase_s;
  it.limit_s = view.limit_s;
  it.device_wait_s = view.device_wait_s;
  it.rank = view.rank;
  it.phase = view.phase;
  it.standing = standing;
  it.dead = view.dead;
  it.stopped = view.stopped;
  it.ended = view.ended;
  return it;
}

RankView view_of(const RankOnWire& it) {
  RankView view;
  view.host = text(it.host);
  view.collective = it.collective;
  view.device_collective = it.device_collective;
  view.step = it.step;
  view.in_phase_s = it.in_phase_s;
  view.limit_s = it.limit_s;
  view.device_wait_s = it.device_wait_s;
  view.rank = it.rank;
  view.phase = it.phase;
  view.dead = it.dead;
  view.stopped = it.stopped;
  view.ended = it.ended;
  return view;
}

}  // namespace

std::string encode(const Report& report) {
  std::string bytes;
  put(bytes, report.leader);
  put(bytes, report.announced);
  put_cause(bytes, report.first);
  for (size_t i = 0; i < report.ranks.size(); ++i) {
    put(bytes, on_wire(report.ranks[i], report.standings[i]));
  }
  return bytes;
}

std::string encode(const Ruling& ruling) {
  std::string bytes;
  put_cause(bytes, ruling.cause);
  put(bytes, ruling.all_failed);
  put(bytes, ruling.not_all_failed);
  put(bytes, ruling.announced);
  return bytes;
}

std::optional<Report> decode_report(const std::string& bytes) {
  Report report;
  size_t at = 0;
  if (!take(bytes, at, report.leader) || !take(bytes, at, report.announced) ||
      !take_cause(bytes, at, report.first)) {
    return std::nullopt;
  }
  RankOnWire it{};
  while (take(bytes, at, it)) {
    report.ranks.push_back(view_of(it));
    report.standings.push_back(it.standing);
  }
  if (at != bytes.size()) return std::nullopt;
  return report;
}

std::optional<Ruling> decode_ruling(const std::string& bytes) {
  Ruling ruling;
  size_t at = 0;
  if (!take_cause(bytes, at, ruling.cause) || !take(bytes, at, ruling.all_failed) ||
      !take(bytes, at, ruling.not_all_failed) || !take(bytes, at, ruling.announced)) {
    return std::nullopt;
  }
  return ruling;
}

Connection::~Connection() {
  close();
}

Connection::Connection(Connection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  close();
  socket_ = std::exchange(other.socket_, -1);
  in_ = std::move(other.in_);
  out_ = std::move(other.out_);
  return *this;
}

void Connection::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void Connection::send(const std::string& message) {
  if (!open() || sending()) return;
  put(out_, static_cast<uint32_t>(message.size()));
  out_ += message;
  flush();
}

void Connection::flush() {
  while (open() && !out_.empty()) {
    const ssize_t sent = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ENOTCONN && errno != EINPROGRESS) close();
      return;
    }
    out_.erase(0, static_cast<size_t>(sent));
  }
}

void Connection::receive() {
  std::array<char, 65536> part;
  while (open()) {
    const ssize_t got = ::recv(socket_, part.data(), part.size(), MSG_DONTWAIT);
    if (got > 0) {
      in_.append(part.data(), static_cast<size_t>(got));
    } else {
      if (got == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOTCONN)) close();
      return;
    }
  }
}

std::vector<std::string> Connection::exchange() {
  flush();
  receive();
  std::vector<std::string> messages;
  uint32_t length = 0;
  for (size_t at = 0; take(in_, at, length); at = 0) {
    if (length > kLongest) {
      close();
      in_.clear();
      break;
    }
    if (in_.size() - at < length) break;
    messages.push_back(in_.substr(at, length));
    in_.erase(0, at + length);
  }
  return messages;
}

}  // namespace resnext::watch
