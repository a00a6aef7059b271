// The state file. Its head has a line "NAME<tab>VALUE" for each part of the identity and ends with
// "= CHECKSUM". Then come groups: a line "BYTES CRC" for each input that became a sample, "! WHY"
// for each that was left out, and "= CHECKSUM". A checksum is the CRC-32C of all lines of its
// group; what follows the last group with a right one was not saved.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/resumable_pack.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string_view>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "data/keyed_random.h"
#include "data/sampler.h"

namespace resnext {
namespace {

uint32_t checksum(std::string_view text) {
  return crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::string closing(std::string_view group) {
  return fmt::format("= {:08x}\n", checksum(group));
}

// A value on one line.
std::string plain(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text;
}

std::string head_of(const PackIdentity& identity) {
  std::string head;
  for (const auto& [name, value] : identity) head += name + '\t' + plain(value) + '\n';
  return head;
}

// Takes groups with right checksums off the front of a state file's text.
class GroupReader {
 public:
  explicit GroupReader(std::string_view text) : text_(text) {}

  // The lines of the next group in `group`; false where there is no whole one.
  bool next(std::string_view& group) {
    for (size_t at = taken_; at < text_.size();) {
      const size_t end = text_.find('\n', at);
      if (end == std::string_view::npos) return false;
      if (text_.substr(at, 2) == "= ") {
        group = text_.substr(taken_, at - taken_);
        if (text_.substr(at, end + 1 - at) != closing(group)) return false;
        taken_ = end + 1;
        return true;
      }
      at = end + 1;
    }
    return false;
  }
  size_t taken() const { return taken_; }

 private:
  std::string_view text_;
  size_t taken_ = 0;
};

std::vector<std::string_view> lines_of(std::string_view group) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < group.size();) {
    const size_t end = group.find('\n', at);
    lines.push_back(group.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

WrittenSample parse_sample(std::string_view line, int64_t label) {
  WrittenSample sample;
  const char* end = line.data() + line.size();
  const auto bytes = std::from_chars(line.data(), end, sample.bytes);
  std::from_chars(std::min(bytes.ptr + 1, end), end, sample.crc, 16);
  sample.label = label;
  return sample;
}

// "NAME VALUE, now VALUE" of the first part that differs.
std::string difference(std::string_view head, const PackIdentity& now) {
  const std::vector<std::string_view> before = lines_of(head);
  for (size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
    const std::string line = i < now.size() ? now[i].first + '\t' + plain(now[i].second) : "";
    if (i < before.size() && before[i] == line) continue;
    if (i >= before.size() || i >= now.size() ||
        before[i].substr(0, before[i].find('\t')) != now[i].first) {
      return "it was begun by another version of the program or another kind of pack";
    }
    return fmt::format("its {} is {}, now {}", now[i].first,
                       before[i].substr(before[i].find('\t') + 1), now[i].second);
  }
  return {};
}

}  // namespace

std::vector<int64_t> packing_order(const PackingOptions& options, int64_t count) {
  if (options.order == PackOrder::kShuffled) {
    KeyedRandom random(RandomUse::kPack, options.seed, 0, 0);
    return permutation(count, random);
  }
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

std::string describe_order(const PackingOptions& options, const std::string& source_order) {
  return options.order == PackOrder::kSource ? source_order
                                             : "shuffled by seed " + std::to_string(options.seed);
}

ResumablePack::ResumablePack(const std::string& out, PackIdentity identity,
                             std::function<int64_t(int64_t)> label_of,
                             const PackingOptions& options, const PackObserver& observer)
    : out_(out),
      state_path_(ContainerWriter::partial_path(out) + ".state"),
      identity_(std::move(identity)),
      label_of_(std::move(label_of)),
      options_(options),
      observer_(observer),
      writer_(out) {
  writer_.keep(true);
  if (std::filesystem::exists(state_path_)) take_up();
  if (state_.get() < 0) begin();
}

ResumablePack::~ResumablePack() {
  if (ended_) return;
  try {
    save();
  } catch (const Error&) {  // what was saved before is there
  }
  if (saved_ == 0) discard();
  if (ended_) return;
  observer_.warning(fmt::format("{} inputs are packed: the same command goes on with them ({}, {})",
                                saved_, ContainerWriter::partial_path(out_), state_path_));
}

void ResumablePack::fail() const {
  throw OutputError(state_path_, std::string("cannot be written: ") + std::strerror(errno),
                    "check the folder, its permissions and the free space");
}

void ResumablePack::take_up() {
  // A pack that was killed behind its end has left its state alone.
  if (std::filesystem::file_size(ContainerWriter::partial_path(out_)) == 0) return;
  std::vector<uint8_t> bytes;
  read_file(state_path_, bytes);
  GroupReader groups({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  std::string_view group;
  if (!groups.next(group)) return;  // killed while it began
  const std::string other = difference(group, identity_);
  if (!other.empty()) {
    const std::string what = "an interrupted pack has left " + state_path_ + ": " + other;
    if (!options_.restart) {
      ended_ = true;
      throw ConfigError(out_, what,
                        "repeat the command that was interrupted, or begin anew with --force");
    }
    observer_.warning(what + "; beginning anew");
    return;
  }
  std::vector<WrittenSample> samples;
  int64_t inputs = 0;
  std::vector<std::pair<int64_t, std::string>> left_out;
  while (groups.next(group)) {
    for (const std::string_view line : lines_of(group)) {
      if (line.starts_with("! ")) {
        left_out.emplace_back(inputs, line.substr(2));
      } else {
        samples.push_back(parse_sample(line, label_of_(inputs)));
      }
      ++inputs;
    }
  }
  if (!writer_.resume(samples)) {
    observer_.warning(ContainerWriter::partial_path(out_) +
                      " is shorter than its state says; beginning anew");
    return;
  }
  state_ = FileDescriptor(::open(state_path_.c_str(), O_WRONLY | O_CLOEXEC));
  state_bytes_ = groups.taken();
  if (state_.get() < 0 || ::ftruncate(state_.get(), static_cast<off_t>(state_bytes_)) != 0) fail();
  done_ = saved_ = inputs;
  left_out_ = std::move(left_out);
  saved_bytes_ = writer_.bytes();
  observer_.warning(fmt::format("going on with an interrupted pack behind {} inputs", done_));
}

void ResumablePack::begin() {
  state_ =
      FileDescriptor(::open(state_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (state_.get() < 0) fail();
  pending_ = head_of(identity_);
  save();
}

void ResumablePack::record(const std::string& line) {
  pending_ += line + '\n';
  ++done_;
  if (writer_.bytes() - saved_bytes_ >= static_cast<uint64_t>(options_.save_bytes)) save();
}

void ResumablePack::add(std::span<const uint8_t> bytes) {
  writer_.append(bytes, label_of_(done_));
  record(fmt::format("{} {:08x}", bytes.size(), writer_.last_crc()));
}

void ResumablePack::leave_out(const std::string& why) {
  left_out_.emplace_back(done_, plain(why));
  record("! " + plain(why));
}

// The samples reach the disk before the lines that speak of them.
void ResumablePack::save() {
  if (pending_.empty()) return;
  writer_.save();
  const std::string group = pending_ + closing(pending_);
  const ssize_t put =
      ::pwrite(state_.get(), group.data(), group.size(), static_cast<off_t>(state_bytes_));
  if (put != static_cast<ssize_t>(group.size())) fail();
  state_bytes_ += group.size();
  saved_ = done_;
  pending_.clear();
  saved_bytes_ = writer_.bytes();
}

void ResumablePack::finish(const ContainerDescription& description) {
  save();
  writer_.finish(description);
  ended_ = true;
  std::remove(state_path_.c_str());
}

void ResumablePack::discard() {
  ended_ = true;
  writer_.keep(false);
  std::remove(state_path_.c_str());
}

}  // namespace resnext
