// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/weights_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "comm/common/error.h"

namespace resnext {
namespace {

std::string errno_text() {
  return std::strerror(errno);
}

}  // namespace

WeightsInput::WeightsInput(const std::string& path) : path_(path) {
  if (path.find("://") != std::string::npos) {
    throw CheckpointError(path, "is an address, and nothing is downloaded",
                          "download it, then name the file");
  }
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    throw CheckpointError(path, "the weights file cannot be opened: " + errno_text(),
                          "name an existing, readable .pt, .pth, .safetensors or .t7 file");
  }
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor_);
    throw CheckpointError(
        path, S_ISDIR(info.st_mode) ? "is a folder" : "is not a regular file",
        "name a .pt, .pth, .safetensors or .t7 file: of a checkpoint its model.pt");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

WeightsInput::WeightsInput(WeightsInput&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(std::move(other.bytes_)),
      size_(other.size_) {}

WeightsInput::~WeightsInput() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void WeightsInput::read(uint64_t offset, void* target, uint64_t count) const {
  check_range(offset, count);
  if (count == 0) return;  // `target` may be null
  auto* cursor = static_cast<char*>(target);
  if (descriptor_ < 0) {
    std::memcpy(target, bytes_.data() + offset, count);
    return;
  }
  while (count > 0) {
    const ssize_t got = ::pread(descriptor_, cursor, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot be read: " + errno_text());
    if (got == 0) fail("became shorter while it was read");
    cursor += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<uint64_t>(got);
  }
}

std::string WeightsInput::read(uint64_t offset, uint64_t count) const {
  check_range(offset, count);
  std::string bytes(count, '\0');
  read(offset, bytes.data(), count);
  return bytes;
}

void WeightsInput::fail(std::string_view what) const {
  throw CheckpointError(path_, what,
                        "use a complete file: of torch.save(model.state_dict(), ...), .safetensors "
                        "or Torch7's .t7");
}

void WeightsInput::check_range(uint64_t offset, uint64_t count) const {
  if (offset > size_ || count > size_ - offset) {
    fail("is truncated or corrupt: " + std::to_string(count) + " bytes are expected at offset " +
         std::to_string(offset) + " of " + std::to_string(size_));
  }
}

}  // namespace resnext
