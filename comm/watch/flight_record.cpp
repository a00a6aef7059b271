// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/flight_record.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>

namespace resnext::watch {
namespace {

double before_s(int64_t now, int64_t at) {
  return 1e-9 * static_cast<double>(now - at);
}

std::string quoted(std::string_view text) {
  std::string line = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20) {
      line += fmt::format("\\u{:04x}", byte);
    } else {
      line += c;
    }
  }
  return line + "\"";
}

std::string utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string failure_of(int rank, int code, const std::string& text) {
  return fmt::format(R"({{"rank":{},"code":{},"text":{}}})", rank, code, quoted(text));
}

std::string own_failure(const Slot& slot) {
  for (const Failure& it : slot.failures) {
    const int code = it.code.load(std::memory_order_acquire);
    if (code != 0) return failure_of(it.rank, code, it.read());
  }
  return "null";
}

std::string changes_of(const Slot& slot, int64_t now) {
  const uint64_t end = slot.changed;
  const uint64_t begin = end - std::min<uint64_t>(end, kChanges);
  std::string lines;
  for (uint64_t i = begin; i < end; ++i) {
    const Change& it = slot.changes[i % kChanges];
    lines += fmt::format("{}\n  {{\"before_s\":{:.6f},\"phase\":\"{}\",\"collective\":{}}}",
                         lines.empty() ? "" : ",", before_s(now, it.at_ns), name(it.phase.load()),
                         it.collective.load());
  }
  return "[" + lines + "]";
}

}  // namespace

std::string flight_record(const Slot& slot, const std::string& host,
                          const std::optional<Cause>& cause) {
  const int64_t now = now_ns();
  return fmt::format(
      "{{\"rank\":{},\"host\":{},\"pid\":{},\"written\":\"{}\",\"dead\":{},\"step\":{},\n"
      "\"phase\":\"{}\",\"collective\":{},\"in_phase_s\":{:.3f},\"watchdog_before_s\":{:.3f},\n"
      "\"device_collective\":{},\"failure\":{},\n\"first_cause\":{},\n\"changes\":{}}}\n",
      slot.rank.load(), quoted(host), slot.pid.load(), utc(), slot.dead.load(), slot.step.load(),
      name(slot.phase.load()), slot.collective.load(), before_s(now, slot.since_ns),
      before_s(now, slot.beat_ns), slot.device_collective.load(), own_failure(slot),
      cause ? failure_of(cause->rank, cause->code, cause->text) : "null", changes_of(slot, now));
}

void write_flight_record(const std::string& folder, int rank, const std::string& record) noexcept
    try {
  ::mkdir(folder.c_str(), 0777);
  const std::string path = fmt::format("{}/rank-{:04}.json", folder, rank);
  std::ofstream file(path + ".partial", std::ios::trunc);
  file << record;
  file.close();
  if (file) std::rename((path + ".partial").c_str(), path.c_str());
} catch (...) {
}

}  // namespace resnext::watch
