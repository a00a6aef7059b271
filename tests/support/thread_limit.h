// A system that has no more threads to give. It stands before pthread_create() in the whole test
// program, which works as usual while no ThreadLimit lives.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace resnext::test {

class ThreadLimit {
 public:
  // After `more` further threads, of any part of the program, each start fails with EAGAIN.
  explicit ThreadLimit(int more);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;
};

}  // namespace resnext::test
