// Typed errors of the program and the exit codes they become.
//
// Libraries throw these; only `main` turns one into an exit code. Every message has three parts:
// what is wrong, where (file, key, line, rank), and what the user can do next. what() joins them
// into one line: "WHERE: WHAT; REMEDY".
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace resnext {

// The contract with job scripts and the launcher. `restart helps` says whether the same command,
// started again unchanged, can get further.
enum class ExitCode : int {
  kOk = 0,
  kConfig = 64,    // configuration or usage error; restart does not help
  kData = 65,      // data set missing, malformed or corrupt; restart does not help
  kInternal = 70,  // internal error; restart does not help
  kOutput = 73,    // checkpoint or log could not be written; restart after freeing space
  kStopped = 75,   // stopped on request after saving a checkpoint; restart (requeue)
  kPeerLost = 76,  // a peer died or hung; restart from the last checkpoint
  kDiverged = 77,  // non-finite loss past the limit; restart does not help
};

// Base of all errors of this program. Thread-safe to copy and to throw from any thread.
class Error : public std::runtime_error {
 public:
  Error(ExitCode exit_code, std::string_view where, std::string_view what, std::string_view remedy);

  ExitCode exit_code() const noexcept { return exit_code_; }

 private:
  ExitCode exit_code_;
};

// A configuration file, an override or a command line is wrong (64).
class ConfigError : public Error {
 public:
  ConfigError(std::string_view where, std::string_view what, std::string_view remedy)
      : Error(ExitCode::kConfig, where, what, remedy) {}
};

// A data set is missing, malformed or corrupt (65).
class DataError : public Error {
 public:
  DataError(std::string_view where, std::string_view what, std::string_view remedy)
      : Error(ExitCode::kData, where, what, remedy) {}
};

// A checkpoint, weights file or log could not be written (73).
class OutputError : public Error {
 public:
  OutputError(std::string_view where, std::string_view what, std::string_view remedy)
      : Error(ExitCode::kOutput, where, what, remedy) {}
};

// A checkpoint or weights file that the user named cannot be used: missing, corrupt, or made for
// another model (64: another file or another model must be named).
class CheckpointError : public Error {
 public:
  CheckpointError(std::string_view where, std::string_view what, std::string_view remedy)
      : Error(ExitCode::kConfig, where, what, remedy) {}
};

// A peer died, hung, or disagrees about a collective (76).
class CommError : public Error {
 public:
  CommError(std::string_view where, std::string_view what, std::string_view remedy)
      : Error(ExitCode::kPeerLost, where, what, remedy) {}
};

// The loss is not finite for longer than the limit (77).
class DivergedError : public Error {
 public:
  DivergedError(std::string_view where, std::string_view what, std::string_view remedy)
      : Error(ExitCode::kDiverged, where, what, remedy) {}
};

// What an exception means to the user: an Error is itself; that a GPU's memory is full is a matter
// of the configuration (64); all else is internal (70), of which the first line is kept.
Error to_error(const std::exception& exception);

// The GPU's memory is full (64). `what`: in the words of who noticed.
Error out_of_gpu_memory(std::string_view what);

}  // namespace resnext
