// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/stop_requests.h"

#include <unistd.h>

#include <ctime>
#include <string_view>
#include <utility>

#include "comm/common/error.h"
#include "comm/common/stop_signals.h"

namespace resnext {
namespace {

constexpr std::string_view kWhat = "stopped on request before its end";
constexpr std::string_view kRemedy = "start it again";
constexpr long kPeriodNs = 50'000'000;
constexpr int kGracePeriods = 40;  // two seconds

}  // namespace

StopRequests::StopRequests(std::string unfinished)
    : unfinished_(std::move(unfinished)), signals_(stop_signal_set()) {
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { wait(); });
}

StopRequests::~StopRequests() {
  ended_ = true;
  thread_.join();
}

void StopRequests::check() const {
  if (requested_) throw Error(ExitCode::kStopped, "resnext_data", kWhat, kRemedy);
}

void StopRequests::wait() {
  const timespec period{0, kPeriodNs};
  for (int periods = 0; !ended_; periods += requested_ ? 1 : 0) {
    if (::sigtimedwait(&signals_, nullptr, &period) > 0) requested_ = true;
    if (periods < kGracePeriods) continue;
    if (!unfinished_.empty()) ::unlink(unfinished_.c_str());
    const std::string line =
        "resnext_data: " + std::string(kWhat) + "; " + std::string(kRemedy) + "\n";
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(static_cast<int>(ExitCode::kStopped));
  }
}

}  // namespace resnext
