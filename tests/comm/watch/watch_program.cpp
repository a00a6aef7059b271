// watch_program LIMIT_S [RANK FAULT]...: ranks that sum numbers as the worker does, of which some
// meet a fault. Prints "ready" from rank 0 when all ranks are at work.
//
// FAULT: fail:CODE[:MS], while the others are in a collective, MS milliseconds after another
// has failed so; stuck:PHASE; early, stuck before MPI_Init; stop:PHASE, SIGSTOP to itself; kill,
// SIGKILL to itself; slow, 0.8 of the limit in each of three steps; hide, fails while its unwinding
// takes for ever; deep, stuck in a phase with a progress that ends. "*" as RANK: all.
// SPDX-License-Identifier: BSD-3-Clause
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "comm/common/error.h"
#include "comm/common/log.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_environment.h"
#include "comm/watch/job.h"
#include "comm/watch/watch.h"
#include "comm/watch/watchdog.h"

namespace resnext {
namespace {

using watch::Phase;

[[noreturn]] void hang() {
  while (true) ::pause();
}

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// "fail:65:200" as {"fail", "65", "200"}.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  parts.resize(3);
  return parts;
}

Phase phase_of(const std::string& wanted) {
  for (int p = 0; p <= static_cast<int>(Phase::kEnd); ++p) {
    if (name(static_cast<Phase>(p)) == wanted) return static_cast<Phase>(p);
  }
  std::abort();
}

// Never ends, as what a thread does that is stuck in the device.
struct EndlessUnwinding {
  ~EndlessUnwinding() { hang(); }
};

class Rank {
 public:
  Rank(double limit_s, const std::string& fault) : limit_s_(limit_s), fault_(split(fault)) {}

  void before_mpi() const {
    if (fault_[0] == "early") hang();
  }

  void work(const MpiEnvironment& environment) {
    if (const char* folder = std::getenv("FLIGHT_FOLDER")) watch::set_flight_folder(folder);
    MpiCommunicator communicator(limit_s_);
    communicator.barrier();
    if (environment.rank() == 0) std::puts("ready");
    std::fflush(stdout);
    for (int step = 0; step < 5; ++step) one_step(communicator, step);
  }

 private:
  void one_step(Communicator& communicator, int step) {
    watch::enter_step(step);
    watch::enter(Phase::kData);
    if (fault_[0] == "slow" && step < 3) sleep_s(0.8 * limit_s_);
    if (step == 1) meet();
    watch::enter(Phase::kBackward);
    static double values[2] = {1, 2};  // outlive a collective that is given up
    communicator.all_reduce({values, 2, DataType::kFloat64}, ReduceOp::kMax);
  }

  // A rank that fails without delay leaves a file, which those with one wait for.
  void wait_for_the_first() const {
    namespace fs = std::filesystem;
    const fs::path mark = fs::path(std::getenv("FLIGHT_FOLDER")).replace_filename("first-fails");
    if (fault_[2].empty()) {
      std::ofstream(mark).flush();
      return;
    }
    while (!fs::exists(mark)) sleep_s(0.001);
    sleep_s(std::atof(fault_[2].c_str()) / 1000);
  }

  void meet() const {
    if (fault_[0] == "fail") {
      wait_for_the_first();
      throw Error(static_cast<ExitCode>(std::atoi(fault_[1].c_str())), "here",
                  "the fault of code " + fault_[1], "mend it");
    }
    if (fault_[0] == "hide") {
      watch::guard([] { throw DataError("here", "the hidden cause", "mend it"); });
    }
    if (fault_[0] == "stuck") {
      watch::enter(phase_of(fault_[1]));
      hang();
    }
    if (fault_[0] == "deep") {
      watch::enter(Phase::kSave);
      for (int i = 0; i < 10; ++i) {
        sleep_s(0.3 * limit_s_);
        watch::beat();
      }
      hang();
    }
    if (fault_[0] == "stop") {
      watch::enter(phase_of(fault_[1]));
      ::raise(SIGSTOP);
    }
    if (fault_[0] == "kill") ::raise(SIGKILL);
  }

  double limit_s_;
  std::vector<std::string> fault_;
};

std::string fault_of(int rank, int argc, char** argv) {
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string wanted = argv[i];
    if (wanted == "*" || wanted == std::to_string(rank)) return argv[i + 1];
  }
  return "";
}

int run(int argc, char** argv) {
  const watch::Job job = watch::job_from_environment();
  set_up_log(job.rank, job.size);
  watch::Watchdog watchdog(job);
  const double limit = std::atof(argv[1]);
  const std::string fault = fault_of(job.rank, argc, argv);
  watch::set_limit(limit);
  Rank rank(limit, fault);
  rank.before_mpi();
  MpiEnvironment environment(&watchdog);
  try {
    watch::guard([&] { rank.work(environment); });
    return 0;
  } catch (const std::exception& error) {
    if (fault == "hide") EndlessUnwinding();
    return watch::fail(to_error(error));
  }
}

}  // namespace
}  // namespace resnext

int main(int argc, char** argv) {
  return resnext::run(argc, argv);
}
