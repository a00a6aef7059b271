// What hosts tell each other while a job runs, and the connection that it goes over.
//
// Messages are plain bytes, as all hosts run the same program. Connections never block: a message
// to a peer that does not read is left out, the next one says all anew.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/watch/failures.h"
#include "comm/watch/verdict.h"

namespace resnext::watch {

// Of a host's leader to rank 0.
struct Report {
  int leader = 0;
  std::vector<RankView> ranks;  // of the host
  std::vector<Standing> standings;
  std::optional<Cause> first;  // that the host knows
  bool announced = false;      // it has been printed there
};

// Of rank 0 to the leaders.
struct Ruling {
  std::optional<Cause> cause;  // settled
  bool all_failed = false;     // every rank, by itself
  bool not_all_failed = false;
  bool announced = false;  // somewhere
};

std::string encode(const Report& report);
std::string encode(const Ruling& ruling);
// Nothing when the bytes are none.
std::optional<Report> decode_report(const std::string& bytes);
std::optional<Ruling> decode_ruling(const std::string& bytes);

class Connection {
 public:
  // Takes over a socket that does not block.
  explicit Connection(int socket) : socket_(socket) {}
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;

  int socket() const { return socket_; }
  bool open() const { return socket_ >= 0; }
  bool sending() const { return !out_.empty(); }
  // Left out while an earlier message is on its way.
  void send(const std::string& message);
  // Sends and receives what can be; the messages that have come.
  std::vector<std::string> exchange();
  void close();

 private:
  void flush();
  void receive();

  int socket_;
  std::string in_, out_;
};

}  // namespace resnext::watch
