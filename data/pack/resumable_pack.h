// A container that is made of inputs in a fixed order, and goes on where it was interrupted.
//
// Beside OUT.partial (container_writer.h) lies OUT.partial.state, a text file: what is packed and
// how, a line for each input that is dealt with, and checksums of both. It never says more than the
// disk holds of the samples. A pack that ends by a stop request, a signal or a full disk leaves
// both files; the same sources and options then go on with them, and end with the same bytes as if
// nothing had happened.
// One thread. Throws ConfigError where what is left is of other sources or options, and what
// ContainerWriter throws.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/container/container_writer.h"
#include "data/pack/packer.h"

namespace resnext {

// Options and sources by their names; two packs with the same would write the same container.
using PackIdentity = std::vector<std::pair<std::string, std::string>>;

// The inputs 0..count-1 in the order in which they are packed; and that order in words, which
// `source_order` says where it is the source's.
std::vector<int64_t> packing_order(const PackingOptions& options, int64_t count);
std::string describe_order(const PackingOptions& options, const std::string& source_order);

class ResumablePack {
 public:
  // Takes up what an interrupted pack has left, and says so; or begins. `label_of` gives the label
  // of an input by its place.
  ResumablePack(const std::string& out, PackIdentity identity,
                std::function<int64_t(int64_t)> label_of, const PackingOptions& options,
                const PackObserver& observer);
  ~ResumablePack();

  // Inputs that are dealt with: the place of the next one.
  int64_t done() const { return done_; }
  // Of those, the ones that were left out, and why.
  const std::vector<std::pair<int64_t, std::string>>& left_out() const { return left_out_; }
  int64_t samples() const { return writer_.count(); }

  void add(std::span<const uint8_t> bytes);
  void leave_out(const std::string& why);

  void finish(const ContainerDescription& description);
  // For an error that going on would not mend: nothing is left behind.
  void discard();

 private:
  void take_up();
  void begin();
  void record(const std::string& line);
  void save();
  [[noreturn]] void fail() const;

  std::string out_;
  std::string state_path_;
  PackIdentity identity_;
  std::function<int64_t(int64_t)> label_of_;
  const PackingOptions options_;
  const PackObserver& observer_;
  ContainerWriter writer_;
  FileDescriptor state_;
  std::string pending_;       // lines that are not saved yet
  uint64_t state_bytes_ = 0;  // of the state file
  uint64_t saved_bytes_ = 0;  // of the samples that it speaks of
  int64_t saved_ = 0;         // inputs that it speaks of
  int64_t done_ = 0;
  std::vector<std::pair<int64_t, std::string>> left_out_;
  bool ended_ = false;  // finished or discarded
};

}  // namespace resnext
