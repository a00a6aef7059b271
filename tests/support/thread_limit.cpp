// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/thread_limit.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <limits>

namespace resnext::test {
namespace {

constexpr int kUnlimited = std::numeric_limits<int>::max();

std::atomic<int> left = kUnlimited;

bool take_one() {
  return left == kUnlimited || left.fetch_sub(1) > 0;
}

}  // namespace

ThreadLimit::ThreadLimit(int more) {
  left = more;
}
ThreadLimit::~ThreadLimit() {
  left = kUnlimited;
}

}  // namespace resnext::test

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) {
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  return resnext::test::take_one() ? create(thread, attributes, run, argument) : EAGAIN;
}
