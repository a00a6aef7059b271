// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/bounded_call.h"

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <thread>
#include <utility>

namespace resnext {

bool finishes_within(double seconds, std::function<void()> work) noexcept try {
  auto finished = std::make_shared<std::promise<void>>();
  const std::future<void> future = finished->get_future();
  std::thread thread([finished, work = std::move(work)] {
    work();
    finished->set_value();
  });
  if (future.wait_for(std::chrono::duration<double>(seconds)) == std::future_status::ready) {
    thread.join();
    return true;
  }
  thread.detach();
  return false;
} catch (const std::exception&) {  // no thread to be had
  return false;
}

}  // namespace resnext
