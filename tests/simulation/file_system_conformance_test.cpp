// The same checks on the machine's files and on simulated ones.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/common/file_system.h"
#include "tests/simulation/error_of.h"
#include "tests/simulation/simulated_files.h"
#include "tests/support/process.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

// A file system and an empty folder of it.
class Place {
 public:
  virtual ~Place() = default;
  virtual FileSystem& files() = 0;
  virtual fs::path folder() const = 0;
};

class OfTheMachine final : public Place {
 public:
  FileSystem& files() override { return posix_files(); }
  fs::path folder() const override { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

class OnADisk final : public Place {
 public:
  OnADisk() { disk_.make_folders(folder()); }
  FileSystem& files() override { return disk_; }
  fs::path folder() const override { return "/some/folder"; }

 private:
  SimulatedDisk disk_;
};

class OfAProcess final : public Place {
 public:
  OfAProcess() { files_.make_folders(folder()); }
  FileSystem& files() override { return files_; }
  fs::path folder() const override { return "/some/folder"; }

 private:
  SimulatedDisk disk_;
  SimulatedFiles files_{disk_};
};

template <class Kind>
class Files : public ::testing::Test {
 protected:
  fs::path path(const std::string& name) const { return place_.folder() / name; }
  void put(const std::string& name, std::string_view text) {
    const auto file = files_.create(path(name));
    file->write(text);
    file->close();
  }
  std::string get(const std::string& name) { return files_.read(path(name)); }
  Names list() { return files_.list(place_.folder()); }

  Kind place_;
  FileSystem& files_ = place_.files();
};

using Kinds = ::testing::Types<OfTheMachine, OnADisk, OfAProcess>;
TYPED_TEST_SUITE(Files, Kinds);

TYPED_TEST(Files, AreListedByNameInOrder) {
  for (const char* name : {"b", "a", "c", ".hidden"}) this->put(name, "");
  this->files_.make_folders(this->path("aa/inner"));
  EXPECT_EQ(this->list(), (Names{".hidden", "a", "aa", "b", "c"}));
  EXPECT_EQ(this->files_.list(this->path("none")), Names{});
  EXPECT_EQ(this->files_.list(this->path("none/none")), Names{});
  EXPECT_EQ(error_of([&] { this->files_.list(this->path("a")); }), ENOTDIR);
}

TYPED_TEST(Files, ExistUnderTheirNames) {
  this->put("a", "");
  this->files_.make_link("nowhere", this->path("link"));
  EXPECT_TRUE(this->files_.exists(this->path("a")));
  EXPECT_TRUE(this->files_.exists(this->path("link")));
  EXPECT_TRUE(this->files_.exists(this->path("")));
  for (const char* name : {"b", "none/none", "a/none", "link/none"}) {
    EXPECT_FALSE(this->files_.exists(this->path(name))) << name;
  }
}

TYPED_TEST(Files, HoldWhatWasWritten) {
  const std::string text("one\0two\n", 8);
  const auto file = this->files_.create(this->path("a"));
  file->write(text);
  EXPECT_EQ(this->get("a"), text);
  file->write(std::string_view());
  file->write(text);
  file->sync();
  file->close();
  EXPECT_EQ(this->get("a"), text + text);
  EXPECT_EQ(this->files_.size(this->path("a")), 2 * text.size());
}

TYPED_TEST(Files, AreEmptiedByCreateAndLengthenedByAppend) {
  this->files_.append(this->path("a"))->write("12");
  this->files_.append(this->path("a"))->write("3");
  EXPECT_EQ(this->get("a"), "123");
  this->put("a", "4");
  EXPECT_EQ(this->get("a"), "4");
}

TYPED_TEST(Files, TwoWritersAppendToOneEnd) {
  const auto one = this->files_.append(this->path("a"));
  const auto two = this->files_.append(this->path("a"));
  one->write("1");
  two->write("2");
  one->write("3");
  EXPECT_EQ(this->get("a"), "123");
}

// A file that another writer emptied meanwhile has zeros where the first had written.
TYPED_TEST(Files, AWriterKeepsItsPlace) {
  const auto one = this->files_.create(this->path("a"));
  one->write("12");
  this->put("a", "");
  one->write("3");
  EXPECT_EQ(this->get("a"), std::string("\0\0"
                                        "3",
                                        3));
}

TYPED_TEST(Files, AreWrittenToUnderAnotherNameToo) {
  const auto file = this->files_.create(this->path("a"));
  this->files_.rename(this->path("a"), this->path("b"));
  file->write("1");
  EXPECT_EQ(this->get("b"), "1");
  this->files_.remove_all(this->path("b"));
  file->write("2");
  EXPECT_EQ(this->list(), Names{});
}

TYPED_TEST(Files, OfMissingFoldersAreErrors) {
  FileSystem& files = this->files_;
  const fs::path none = this->path("none"), in_none = this->path("none/a");
  EXPECT_EQ(error_of([&] { files.size(none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.read(none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.create(in_none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.append(in_none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.rename(none, this->path("b")); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.make_link("a", in_none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.sync_folder(none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.touch(none); }), ENOENT);
  EXPECT_EQ(error_of([&] { files.remove_all(none); }), 0);
  EXPECT_EQ(error_of([&] { files.remove_all(in_none); }), 0);
  EXPECT_EQ(files.read_link(none), "");
  EXPECT_LT(files.age_s(none), 0);
}

TYPED_TEST(Files, AreNoFolders) {
  FileSystem& files = this->files_;
  this->put("a", "");
  files.make_folders(this->path("folder"));
  EXPECT_EQ(error_of([&] { files.create(this->path("folder")); }), EISDIR);
  EXPECT_EQ(error_of([&] { files.append(this->path("folder")); }), EISDIR);
  EXPECT_EQ(error_of([&] { files.read(this->path("folder")); }), EISDIR);
  EXPECT_EQ(error_of([&] { files.create(this->path("a/b")); }), ENOTDIR);
  EXPECT_EQ(error_of([&] { files.sync_folder(this->path("a")); }), ENOTDIR);
  EXPECT_NE(error_of([&] { files.make_folders(this->path("a")); }), 0);
  EXPECT_NE(error_of([&] { files.make_folders(this->path("a/b")); }), 0);
}

TYPED_TEST(Files, RenameReplacesAFile) {
  this->put("a", "1");
  this->put("b", "2");
  this->files_.rename(this->path("a"), this->path("b"));
  EXPECT_EQ(this->list(), Names{"b"});
  EXPECT_EQ(this->get("b"), "1");
  this->files_.rename(this->path("b"), this->path("b"));
  EXPECT_EQ(this->get("b"), "1");
}

TYPED_TEST(Files, RenameTakesAFolderWithItsContent) {
  FileSystem& files = this->files_;
  files.make_folders(this->path("a/inner"));
  this->put("a/inner/file", "1");
  files.make_folders(this->path("empty"));
  files.rename(this->path("a"), this->path("empty"));
  EXPECT_EQ(this->list(), Names{"empty"});
  files.rename(this->path("empty"), this->path("b"));
  EXPECT_EQ(this->get("b/inner/file"), "1");
}

TYPED_TEST(Files, RenameRefusesWhatWouldLoseContent) {
  FileSystem& files = this->files_;
  files.make_folders(this->path("a/inner"));
  files.make_folders(this->path("full/inner"));
  this->put("file", "1");
  const auto rename = [&](const std::string& from, const std::string& to) {
    return error_of([&] { files.rename(this->path(from), this->path(to)); });
  };
  EXPECT_EQ(rename("a", "full"), ENOTEMPTY);
  EXPECT_EQ(rename("a", "file"), ENOTDIR);
  EXPECT_EQ(rename("file", "a"), EISDIR);
  EXPECT_EQ(rename("a", "a/inner/a"), EINVAL);
  EXPECT_EQ(this->list(), (Names{"a", "file", "full"}));
  EXPECT_EQ(this->get("file"), "1");
}

TYPED_TEST(Files, AreRemovedWithWhatIsInThem) {
  FileSystem& files = this->files_;
  this->put("file", "1");
  files.make_folders(this->path("a/b/c"));
  this->put("a/b/file", "1");
  files.make_link(this->path("file").string(), this->path("a/link"));
  files.remove_all(this->path("a"));
  EXPECT_EQ(this->list(), Names{"file"});
  files.remove_all(this->path("file"));
  EXPECT_EQ(this->list(), Names{});
}

TYPED_TEST(Files, LinksLeadToTheirTargets) {
  FileSystem& files = this->files_;
  files.make_folders(this->path("step-1/inner"));
  this->put("step-1/file", "1");
  files.make_link("step-1", this->path("best"));
  EXPECT_EQ(files.read_link(this->path("best")), "step-1");
  EXPECT_EQ(files.read_link(this->path("step-1")), "");
  EXPECT_EQ(this->get("best/file"), "1");
  EXPECT_EQ(files.list(this->path("best")), (Names{"file", "inner"}));
  files.make_folders(this->path("best/more"));
  EXPECT_TRUE(files.exists(this->path("step-1/more")));
  files.make_link("../../best/file", this->path("step-1/inner/up"));
  EXPECT_EQ(this->get("step-1/inner/up"), "1");
  EXPECT_EQ(files.size(this->path("step-1/inner/up")), 1U);
  this->put("step-1/inner/up", "22");
  EXPECT_EQ(this->get("step-1/file"), "22");
}

TYPED_TEST(Files, LinksAreReplacedThemselves) {
  FileSystem& files = this->files_;
  this->put("a", "1");
  files.make_link("a", this->path("link"));
  files.make_link("b", this->path("link.new"));
  EXPECT_EQ(error_of([&] { files.make_link("b", this->path("link")); }), EEXIST);
  files.rename(this->path("link.new"), this->path("link"));
  EXPECT_EQ(files.read_link(this->path("link")), "b");
  files.remove_all(this->path("link"));
  EXPECT_EQ(this->list(), Names{"a"});
}

TYPED_TEST(Files, LinksThatLeadNowhere) {
  FileSystem& files = this->files_;
  files.make_link("b", this->path("link"));
  EXPECT_EQ(error_of([&] { files.read(this->path("link")); }), ENOENT);
  EXPECT_LT(files.age_s(this->path("link")), 0);
  files.create(this->path("link"))->write("1");
  EXPECT_EQ(this->get("b"), "1");
  files.make_link("two", this->path("one"));
  files.make_link("one", this->path("two"));
  EXPECT_EQ(error_of([&] { files.read(this->path("one")); }), ELOOP);
  EXPECT_TRUE(files.exists(this->path("one")));
}

TYPED_TEST(Files, HaveAnAge) {
  this->put("a", "1");
  this->files_.touch(this->path("a"));
  EXPECT_GE(this->files_.age_s(this->path("a")), 0);
  EXPECT_LT(this->files_.age_s(this->path("a")), 3600);
  EXPECT_EQ(this->list(), Names{"a"});
}

TYPED_TEST(Files, AreReplacedWhole) {
  FileSystem& files = this->files_;
  files.replace(this->path("a"), "1");
  files.replace(this->path("a"), "22");
  EXPECT_EQ(this->get("a"), "22");
  EXPECT_EQ(this->list(), Names{"a"});
  files.make_folders(this->path("folder"));
  EXPECT_EQ(error_of([&] { files.replace(this->path("folder"), "1"); }), EISDIR);
  EXPECT_EQ(this->list(), (Names{"a", "folder"}));
  files.sync_folder(this->path(""));
}

}  // namespace
}  // namespace resnext::test
