// One owner of a folder: by real processes, and by seams without any clock, process or file.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/folder_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <set>

#include "comm/common/error.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

LockOptions options(const std::string& program = "test") {
  LockOptions options;
  options.program = program;
  return options;
}

// What take() says when it refuses; empty when it does not.
std::string refusal(const fs::path& folder, const LockOptions& how) {
  try {
    FolderLock::take(posix_files(), folder, how);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

// A process of its own that runs `work` and leaves with what that returns.
class Forked {
 public:
  template <typename Work>
  explicit Forked(Work work) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(work());
  }
  ~Forked() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  Forked(const Forked&) = delete;
  Forked(Forked&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

  pid_t pid() const { return pid_; }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

Forked holder_of(const fs::path& folder) {
  Forked process([&] {
    const FolderLock lock = FolderLock::take(posix_files(), folder, options("holder"));
    while (true) ::pause();
    return 0;
  });
  EXPECT_TRUE(test::wait_until([&] { return fs::exists(folder / kRunLock); }, 30));
  return process;
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST(FolderLock, SaysWhoseItIsAndGoesWithItsOwner) {
  const test::TemporaryFolder root;
  const fs::path folder = root.path() / "a/run";
  {
    FolderLock lock = FolderLock::take(posix_files(), folder, options("first"));
    EXPECT_TRUE(lock.still_ours());
    const auto owner = parse_lock_owner(test::read_text(folder / kRunLock));
    ASSERT_TRUE(owner.has_value());
    EXPECT_EQ(owner->pid, ::getpid());
    EXPECT_EQ(owner->token, lock.token());
    const auto before = names_in(folder);
    const std::string text = refusal(folder, options());
    EXPECT_NE(text.find("is in use by first, process " + std::to_string(::getpid())), text.npos)
        << text;
    EXPECT_NE(text.find("on host " + owner->host), text.npos) << text;
    EXPECT_NE(text.find("since 20"), text.npos) << text;
    EXPECT_EQ(names_in(folder), before) << "who is refused leaves nothing";
  }
  EXPECT_TRUE(names_in(folder).empty()) << "released";
}

TEST(FolderLock, NamesTheJob) {
  const test::TemporaryFolder folder;
  ::setenv("SLURM_JOB_ID", "77", 1);
  ::setenv("SLURM_RESTART_COUNT", "3", 1);
  const FolderLock lock = FolderLock::take(posix_files(), folder.path(), options());
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_RESTART_COUNT");
  EXPECT_NE(refusal(folder.path(), options()).find("job 77, restart 3"), std::string::npos);
}

TEST(FolderLock, DeadOwnerIsNoticedAtOnceAndAStoppedOneLives) {
  const test::TemporaryFolder folder;
  Forked process = holder_of(folder.path());
  ::kill(process.pid(), SIGSTOP);
  EXPECT_NE(refusal(folder.path(), options()).find("holder, process "), std::string::npos);
  ::kill(process.pid(), SIGKILL);
  EXPECT_EQ(process.wait(), 128 + SIGKILL);
  LockOptions how = options();
  how.sleep = [](double) { FAIL() << "there is nothing to wait for"; };
  const FolderLock lock = FolderLock::take(posix_files(), folder.path(), how);
  EXPECT_EQ(names_in(folder.path()).size(), 2u) << "of the dead one nothing is left";
}

TEST(FolderLock, ZombieIsDead) {
  const test::TemporaryFolder folder;
  Forked process = holder_of(folder.path());
  ::kill(process.pid(), SIGKILL);
  siginfo_t info;
  ::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(refusal(folder.path(), options()), "");
}

TEST(FolderLock, AnotherProcessOfTheSameIdIsNotTheOwner) {
  LockOwner owner = this_process("test");
  EXPECT_EQ(liveness_of(owner), Liveness::kAlive);
  owner.process_start -= 1;
  EXPECT_EQ(liveness_of(owner), Liveness::kDead);
  owner.system += "x";
  EXPECT_EQ(liveness_of(owner), Liveness::kElsewhere);
}

// Each of many starts writes its id when it wins, and holds the lock until all have tried.
size_t winners(const fs::path& folder, int starts) {
  const fs::path won = folder.string() + ".won";
  const fs::path tried = folder.string() + ".tried";
  std::ofstream(won).flush();
  std::ofstream(tried).flush();
  const auto note = [](const fs::path& file) {
    std::ofstream(file, std::ios::app) << "x" << std::flush;
  };
  std::vector<Forked> processes;
  for (int i = 0; i < starts; ++i) {
    processes.emplace_back([&] {
      try {
        const FolderLock lock = FolderLock::take(posix_files(), folder, options());
        note(won);
        note(tried);
        test::wait_until([&] { return fs::file_size(tried) >= static_cast<size_t>(starts); }, 60);
        return 0;
      } catch (const ConfigError&) {
        note(tried);
        return 64;
      }
    });
  }
  size_t ended_well = 0;
  for (Forked& process : processes) ended_well += process.wait() == 0 ? 1 : 0;
  EXPECT_EQ(ended_well, fs::file_size(won));
  return fs::file_size(won);
}

TEST(FolderLock, OfTwentyStartsOneWins) {
  const test::TemporaryFolder root;
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(winners(root.path() / "run", 20), 1u) << "round " << round;
  }
}

TEST(FolderLock, OfTwentyStartsOnADeadOwnersLockOneWins) {
  const test::TemporaryFolder root;
  const fs::path folder = root.path() / "run";
  for (int round = 0; round < 15; ++round) {
    Forked process = holder_of(folder);
    ::kill(process.pid(), SIGKILL);
    process.wait();
    EXPECT_EQ(winners(folder, 20), 1u) << "round " << round;
  }
}

TEST(FolderLock, LaunchersOwnRanksAreNotRefused) {
  const test::TemporaryFolder folder;
  LockOptions how = options("launcher");
  how.name = kLauncherLock;
  const FolderLock lock = FolderLock::take(posix_files(), folder.path(), how);
  FolderLock::refuse_if_held(posix_files(), folder.path(), how, lock.token());
  EXPECT_THROW(FolderLock::refuse_if_held(posix_files(), folder.path(), how, "other"), ConfigError);
  how.name = kSweepLock;
  FolderLock::refuse_if_held(posix_files(), folder.path(), how, "");
}

TEST(FolderLock, FolderThatCannotBeWrittenIsTold) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "file", "");
  EXPECT_THROW(FolderLock::take(posix_files(), folder.path() / "file/run", options()), OutputError);
}

// Files in memory with a clock of their own.
class MemoryFiles final : public FileSystem {
 public:
  std::vector<std::string> list(const fs::path&) override { return {}; }
  bool exists(const fs::path& path) override {
    return links_.contains(path) || files_.contains(path);
  }
  uint64_t size(const fs::path& path) override { return files_.at(path).text.size(); }
  std::string read(const fs::path& path) override {
    const auto file = files_.find(path);
    if (file == files_.end()) throw FileError(ENOENT, path, "open");
    return file->second.text;
  }
  std::unique_ptr<WritableFile> create(const fs::path& path) override {
    files_[path] = {"", now_};
    return std::make_unique<Writer>(files_[path].text);
  }
  std::unique_ptr<WritableFile> append(const fs::path& path) override { return create(path); }
  void rename(const fs::path& from, const fs::path& to) override {
    if (links_.contains(from)) {
      links_[to] = links_[from];
      links_.erase(from);
    } else if (files_.contains(from)) {
      files_[to] = files_[from];
      files_.erase(from);
    } else {
      throw FileError(ENOENT, from, "rename");
    }
  }
  void remove_all(const fs::path& path) override {
    links_.erase(path);
    files_.erase(path);
  }
  void make_folders(const fs::path&) override {}
  void make_link(const std::string& target, const fs::path& link) override {
    if (!links_.emplace(link, target).second) throw FileError(EEXIST, link, "symlink");
  }
  std::string read_link(const fs::path& link) override {
    return links_.contains(link) ? links_[link] : "";
  }
  void sync_folder(const fs::path&) override {}
  void touch(const fs::path& path) override {
    if (!files_.contains(path)) throw FileError(ENOENT, path, "utimensat");
    files_[path].changed = now_;
  }
  double age_s(const fs::path& path) override {
    return files_.contains(path) ? now_ - files_[path].changed : -1;
  }

  double now_ = 0;

 private:
  struct File {
    std::string text;
    double changed = 0;
  };
  struct Writer final : WritableFile {
    explicit Writer(std::string& text) : text_(text) {}
    void write(std::span<const std::byte> bytes) override {
      text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void sync() override {}
    void close() override {}
    std::string& text_;
  };
  std::map<fs::path, std::string> links_;
  std::map<fs::path, File> files_;
};

class LockOfAnotherHost : public testing::Test {
 protected:
  LockOptions on_host(const std::string& host) {
    LockOptions how;
    how.self = [this, host] {
      LockOwner owner;
      owner.program = "worker";
      owner.host = host;
      owner.pid = 1;
      owner.token = std::to_string(++tokens_);
      return owner;
    };
    how.liveness = [](const LockOwner&) { return Liveness::kElsewhere; };
    how.now = [this] { return files_.now_; };
    how.sleep = [this](double seconds) {
      files_.now_ += seconds;
      if (meanwhile_) meanwhile_();
    };
    how.guard = [](const fs::path&) { return std::make_shared<int>(0); };
    return how;
  }

  MemoryFiles files_;
  int tokens_ = 0;
  std::function<void()> meanwhile_;
};

TEST_F(LockOfAnotherHost, IsTakenOverAfterTheLease) {
  FolderLock first = FolderLock::take(files_, "run", on_host("a"));
  const double start = files_.now_;
  FolderLock second = FolderLock::take(files_, "run", on_host("b"));
  EXPECT_GE(files_.now_ - start, 30);
  EXPECT_LE(files_.now_ - start, 33);
  EXPECT_TRUE(second.still_ours());
  EXPECT_FALSE(first.still_ours());
  EXPECT_FALSE(first.heartbeat());
  first.release();
  EXPECT_TRUE(second.still_ours()) << "who has lost it removes nothing";
}

TEST_F(LockOfAnotherHost, WaitsOnlyForWhatIsLeftOfTheLease) {
  FolderLock first = FolderLock::take(files_, "run", on_host("a"));
  const double start = files_.now_ += 100;
  const FolderLock second = FolderLock::take(files_, "run", on_host("b"));
  EXPECT_LE(files_.now_ - start, 2);
}

TEST_F(LockOfAnotherHost, RefusesAsSoonAsItsHeartBeats) {
  FolderLock first = FolderLock::take(files_, "run", on_host("a"));
  files_.now_ += 3;
  const double start = files_.now_;
  meanwhile_ = [&] { EXPECT_TRUE(first.heartbeat()); };
  EXPECT_THROW(FolderLock::take(files_, "run", on_host("b")), ConfigError);
  EXPECT_LE(files_.now_ - start, 6);
  EXPECT_TRUE(first.still_ours());
}

TEST_F(LockOfAnotherHost, IsTakenWhenItIsReleasedMeanwhile) {
  FolderLock first = FolderLock::take(files_, "run", on_host("a"));
  meanwhile_ = [&] { first.release(); };
  const FolderLock second = FolderLock::take(files_, "run", on_host("b"));
  EXPECT_LE(files_.now_, 3);
}

// Without a guard that reaches both hosts: the slower one renames the faster one's lock away.
TEST_F(LockOfAnotherHost, TwoThatFindItDeadDoNotBothWin) {
  const FolderLock dead = FolderLock::take(files_, "run", on_host("a"));
  files_.now_ += 100;
  std::unique_ptr<FolderLock> fast;
  LockOptions slow = on_host("b");
  slow.guard = [&](const fs::path&) {  // between its look and its deed
    if (!fast) fast = std::make_unique<FolderLock>(FolderLock::take(files_, "run", on_host("c")));
    meanwhile_ = [&] { fast->heartbeat(); };
    return std::make_shared<int>(0);
  };
  EXPECT_THROW(FolderLock::take(files_, "run", slow), ConfigError);
  EXPECT_TRUE(fast->still_ours());
}

TEST_F(LockOfAnotherHost, TornFileCountsAsDeadAfterTheLease) {
  files_.make_link("run.lock.x", "run/run.lock");
  files_.create("run/run.lock.x")->write(std::string_view("{\"program\": \"wor"));
  const FolderLock lock = FolderLock::take(files_, "run", on_host("b"));
  EXPECT_GE(files_.now_, 30);
}

}  // namespace
}  // namespace resnext
