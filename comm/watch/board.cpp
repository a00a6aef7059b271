// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watch/board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <new>
#include <random>
#include <utility>

namespace resnext::watch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "/dev/shm";
constexpr int kTries = 200;  // of 10 ms each, to come onto a board

static_assert(std::atomic<uint64_t>::is_always_lock_free);

std::string prefix() {
  return "resnext-" + std::to_string(::getuid()) + "-";
}

// FNV-1a; another layout is another board.
std::string path_of(const std::string& key, size_t bytes) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : key + "/" + std::to_string(bytes)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return std::string(kFolder) + "/" + prefix() + digits;
}

// Byte 0 is held by who comes or cleans up; byte 1 + i by slot i.
struct flock range(short type, off_t begin, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = begin;
  lock.l_len = length;
  return lock;
}

bool hold(int file, off_t byte) {
  struct flock lock = range(F_WRLCK, byte, 1);
  return ::fcntl(file, F_SETLK, &lock) == 0;
}

void let_go(int file, off_t byte) {
  struct flock lock = range(F_UNLCK, byte, 1);
  ::fcntl(file, F_SETLK, &lock);
}

// By another process.
bool is_held(int file, off_t begin, off_t length) {
  struct flock lock = range(F_WRLCK, begin, length);
  return ::fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool hold_patiently(int file, off_t byte) {
  for (int i = 0; i < kTries; ++i) {
    if (hold(file, byte)) return true;
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return false;
}

// Not removed since it was opened.
bool is_at(int file, const std::string& path) {
  struct stat opened {
  }, named{};
  return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

// Opens the file and holds byte 0; -1: it cannot be had.
int open_held(const std::string& path) {
  for (int i = 0; i < kTries; ++i) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return -1;
    if (hold_patiently(file, 0) && is_at(file, path)) return file;
    ::close(file);
  }
  return -1;
}

void remove_if_left(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  if (hold(file, 0) && !is_held(file, 1, kSlots)) ::unlink(path.c_str());
  ::close(file);
}

uint64_t random_id() {
  std::random_device device;
  return (uint64_t{device()} << 32 | device()) | 1;
}

}  // namespace

int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Of a long text the middle is left out: an error ends with its remedy.
void Failure::write(int who, int exit_code, std::string_view what) {
  constexpr std::string_view kGap = " ... ";
  constexpr size_t kRoom = sizeof text - 1, kEnd = kRoom / 3;
  std::string all(what);
  if (all.size() > kRoom) {
    all.replace(kRoom - kEnd - kGap.size(), all.size() - kRoom + kGap.size(), kGap);
  }
  std::memcpy(text, all.c_str(), all.size() + 1);
  rank.store(who, std::memory_order_relaxed);
  code.store(exit_code, std::memory_order_release);
}

std::string Failure::read() const {
  return {text, ::strnlen(text, sizeof text)};
}

Board::Board(const Job& job) {
  remove_left_boards();
  if (job.key.empty() || job.local_rank >= kSlots || !join(job)) {
    void* memory =
        ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    layout_ = static_cast<Layout*>(memory);
    index_ = 0;
    layout_->notice.id = random_id();
  }
  take_slot(job.rank);
  if (file_ >= 0) let_go(file_, 0);
}

Board::~Board() {
  mine().ended = true;
  close();
  ::munmap(layout_, sizeof(Layout));
  if (file_ >= 0) ::close(file_);
}

// With byte 0 held, so that nobody else comes meanwhile.
bool Board::join(const Job& job) {
  path_ = path_of(job.key, sizeof(Layout));
  file_ = open_held(path_);
  if (file_ < 0) return false;
  index_ = job.local_rank;
  if (!is_held(file_, 1, kSlots)) [[maybe_unused]]
    const int emptied = ::ftruncate(file_, 0);
  if (hold(file_, 1 + index_) && map()) return true;
  ::close(std::exchange(file_, -1));  // another process has this job's key, or no memory is left
  return false;
}

// New memory is all zeros. It is reserved, so that no write can fail later.
bool Board::map() {
  if (::posix_fallocate(file_, 0, sizeof(Layout)) != 0) return false;
  void* memory = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED) return false;
  layout_ = static_cast<Layout*>(memory);
  if (layout_->notice.id == 0) layout_->notice.id = random_id();
  return true;
}

void Board::take_slot(int rank) {
  Slot& it = mine();
  it.rank = rank;
  it.pid = ::getpid();
  it.step = -1;
  it.since_ns = it.beat_ns = now_ns();
  it.used = true;
  if (end() <= index_) notice().end = index_ + 1;
}

bool Board::lives(int index) const {
  return index == index_ || file_ < 0 || is_held(file_, 1 + index, 1);
}

void Board::close() {
  if (file_ >= 0 && is_at(file_, path_)) ::unlink(path_.c_str());
}

void remove_left_boards() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kFolder, error)) {
    if (!entry.path().filename().string().starts_with(prefix())) continue;
    remove_if_left(entry.path().string());
  }
}

}  // namespace resnext::watch
