// How the watchdogs of several hosts hear of each other: the leader of each host, its lowest rank,
// holds a TCP connection to rank 0.
//
// TCP and not MPI, because MPI's locks and progress are what a stuck rank may hold, and because a
// connection closes at once when a leader dies. The launchers and NCCL find their peers in the same
// way, so a network that a job can start on carries it. Addresses and a secret travel by MPI when
// it has started.
// All functions return at once. One thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "comm/watch/wire.h"

namespace resnext::watch {

// Where rank 0 listens; plain bytes, sent as they are.
struct Meeting {
  std::array<std::array<char, 46>, 8> addresses{};  // numeric; empty ones do not count
  uint16_t port = 0;                                // 0: nobody listens
  uint64_t secret = 0;
};

class HostLink {
 public:
  // Rank 0: begins to listen. A meeting without a port where that fails.
  Meeting listen();
  // Another leader: begins to connect.
  void connect(const Meeting& meeting);

  // Rank 0: takes what has come. Of each leader that was ever heard of: its last report.
  struct Heard {
    Report report;
    double age_s = 0;
    bool connected = false;
  };
  std::vector<Heard> hear();
  void tell(const Ruling& ruling);

  // Another leader: the same from its side.
  std::optional<Ruling> ruling();
  void report(const Report& report);
  // Seconds since rank 0 was heard; nothing as long as it never was.
  std::optional<double> silence_s() const;
  bool connected() const;

  // Sockets to wait on.
  std::vector<int> sockets() const;

  HostLink() = default;
  ~HostLink();
  HostLink(const HostLink&) = delete;
  HostLink& operator=(const HostLink&) = delete;

 private:
  struct Peer {
    explicit Peer(int socket) : connection(socket) {}

    Connection connection;
    bool trusted = false;
    std::optional<Report> report;
    int64_t heard_ns = 0;
  };
  void accept();
  void keep_latest(size_t index);

  int listener_ = -1;
  uint64_t secret_ = 0;
  std::vector<Peer> peers_;  // of rank 0: the leaders; of a leader: rank 0, by several addresses
  int64_t heard_ns_ = 0;     // of a leader: rank 0's last word
};

}  // namespace resnext::watch
