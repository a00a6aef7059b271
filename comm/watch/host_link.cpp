// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/host_link.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace resnext::watch {
namespace {

constexpr int kSocket = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

double seconds_since(int64_t ns) {
  return 1e-9 * static_cast<double>(now_ns() - ns);
}

std::string numeric(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text,
                sizeof text);
  } else if (address->sa_family == AF_INET6) {
    const auto& it = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    if (!IN6_IS_ADDR_LINKLOCAL(&it)) ::inet_ntop(AF_INET6, &it, text, sizeof text);
  }
  return text;
}

// Of this host's interfaces; its own loop last, for hosts that are only pretended.
std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {"127.0.0.1"};
  for (const ifaddrs* it = list; it != nullptr; it = it->ifa_next) {
    if (it->ifa_addr == nullptr || (it->ifa_flags & IFF_UP) == 0) continue;
    if ((it->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const std::string text = numeric(it->ifa_addr);
    if (!text.empty()) found.push_back(text);
  }
  ::freeifaddrs(list);
  found.resize(std::min<size_t>(found.size(), 7));
  found.emplace_back("127.0.0.1");
  return found;
}

int connect_to(const std::string& address, uint16_t port) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(port);
  const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) return -1;
  const int socket = ::socket(is_v4 ? AF_INET : AF_INET6, kSocket, 0);
  if (socket < 0) return -1;
  const auto* name =
      is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  const int begun = ::connect(socket, name, is_v4 ? sizeof v4 : sizeof v6);
  if (begun == 0 || errno == EINPROGRESS) return socket;
  ::close(socket);
  return -1;
}

// On all interfaces, IPv6 with IPv4 in it, or IPv4 alone; a port that the system chooses.
int listen_anywhere(uint16_t& port) {
  for (const int family : {AF_INET6, AF_INET}) {
    const int socket = ::socket(family, kSocket, 0);
    if (socket < 0) continue;
    sockaddr_in6 any{};
    any.sin6_family = static_cast<sa_family_t>(family);  // zeros are "any" in both families
    const int off = 0;
    if (family == AF_INET6) ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    socklen_t length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    auto* name = reinterpret_cast<sockaddr*>(&any);
    if (::bind(socket, name, length) == 0 && ::listen(socket, SOMAXCONN) == 0 &&
        ::getsockname(socket, name, &length) == 0) {
      port = ntohs(any.sin6_port);  // at the same place in both families
      return socket;
    }
    ::close(socket);
  }
  return -1;
}

std::string bytes_of(uint64_t secret) {
  return {reinterpret_cast<const char*>(&secret), sizeof secret};
}

}  // namespace

HostLink::~HostLink() {
  if (listener_ >= 0) ::close(listener_);
}

Meeting HostLink::listen() {
  Meeting meeting;
  std::random_device device;
  secret_ = meeting.secret = uint64_t{device()} << 32 | device();
  listener_ = listen_anywhere(meeting.port);
  if (listener_ < 0) return {};
  const std::vector<std::string> own = own_addresses();
  for (size_t i = 0; i < own.size(); ++i) own[i].copy(meeting.addresses[i].data(), 45);
  return meeting;
}

void HostLink::connect(const Meeting& meeting) {
  if (meeting.port == 0) return;
  for (const auto& address : meeting.addresses) {
    if (address[0] == '\0') continue;
    const int socket = connect_to(address.data(), meeting.port);
    if (socket < 0) continue;
    peers_.emplace_back(socket);
    peers_.back().connection.send(bytes_of(meeting.secret));
  }
}

void HostLink::accept() {
  while (listener_ >= 0) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    peers_.emplace_back(socket);
  }
}

std::vector<HostLink::Heard> HostLink::hear() {
  accept();
  std::vector<Heard> heard;
  for (Peer& peer : peers_) {
    for (const std::string& message : peer.connection.exchange()) {
      if (!peer.trusted) {
        peer.trusted = message == bytes_of(secret_);
        if (!peer.trusted) peer.connection.close();
        if (peer.trusted) peer.connection.send(encode(Ruling{}));
      } else if (auto report = decode_report(message)) {
        peer.report = std::move(report);
        peer.heard_ns = now_ns();
      }
    }
    if (!peer.report) continue;
    heard.push_back({*peer.report, seconds_since(peer.heard_ns), peer.connection.open()});
  }
  std::erase_if(peers_, [](const Peer& it) { return !it.connection.open() && !it.report; });
  return heard;
}

void HostLink::tell(const Ruling& ruling) {
  const std::string message = encode(ruling);
  for (Peer& peer : peers_) {
    if (peer.trusted) peer.connection.send(message);
  }
}

// The first address that rank 0 has answered on; the others are let go.
void HostLink::keep_latest(size_t index) {
  heard_ns_ = now_ns();
  if (peers_.size() == 1) return;
  Peer kept = std::move(peers_[index]);
  peers_.clear();
  peers_.push_back(std::move(kept));
}

std::optional<Ruling> HostLink::ruling() {
  std::optional<Ruling> latest;
  for (size_t i = 0; i < peers_.size(); ++i) {
    const std::vector<std::string> messages = peers_[i].connection.exchange();
    if (messages.empty()) continue;
    latest = decode_ruling(messages.back());
    keep_latest(i);
    break;
  }
  return latest;
}

void HostLink::report(const Report& report) {
  if (heard_ns_ == 0) return;  // not before one address has been chosen
  for (Peer& peer : peers_) peer.connection.send(encode(report));
}

std::optional<double> HostLink::silence_s() const {
  if (heard_ns_ == 0) return std::nullopt;
  return seconds_since(heard_ns_);
}

bool HostLink::connected() const {
  return heard_ns_ != 0 && peers_.front().connection.open();
}

std::vector<int> HostLink::sockets() const {
  std::vector<int> sockets;
  if (listener_ >= 0) sockets.push_back(listener_);
  for (const Peer& peer : peers_) {
    if (peer.connection.open()) sockets.push_back(peer.connection.socket());
  }
  return sockets;
}

}  // namespace resnext::watch
