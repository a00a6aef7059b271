// Labels mean names: how a validation set's classes are matched with the training set's.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/data_sets.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"
#include "data/container/container_writer.h"
#include "tests/data/hdf5_editor.h"
#include "tests/support/process.h"

namespace resnext {
namespace {

using test::TemporaryFolder;

class DataSetsTest : public ::testing::Test {
 protected:
  // One image for each label; nameless as other programs write it.
  void write(const std::string& name, const ClassNames& names, const std::vector<int64_t>& labels,
             int64_t side = 2) {
    const std::vector<uint8_t> pixels(labels.size() * 3 * static_cast<size_t>(side * side), 7);
    if (names.empty()) {
      testing::Hdf5Editor file(folder_ / name, /*create=*/true);
      file.put("images", {labels.size(), 2, 2, 3}, pixels);
      file.put("labels", {labels.size()}, labels);
      return;
    }
    ContainerWriter writer(folder_ / name);
    for (const int64_t label : labels) {
      writer.append(std::span(pixels).first(pixels.size() / labels.size()), label);
    }
    ContainerDescription description;
    description.height = description.width = side;
    description.class_names = names;
    writer.finish(description);
  }
  void train(const ClassNames& names, const std::vector<int64_t>& labels) {
    write("train.h5", names, labels);
  }
  void validation(const ClassNames& names, const std::vector<int64_t>& labels) {
    write("validation.h5", names, labels);
  }
  DataOptions options() const {
    DataOptions options;
    options.train = {folder_ / "train.h5"};
    options.validation = {folder_ / "validation.h5"};
    return options;
  }
  DataSets open() const { return {options(), /*training=*/true}; }
  static std::vector<int64_t> labels(const DataSets& sets) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < sets.validation->count(); ++i) {
      all.push_back(sets.validation->label(i));
    }
    return all;
  }
  void expect_refused(const std::vector<std::string>& words) const {
    expect_refused(options(), words);
  }
  static void expect_refused(const DataOptions& options, const std::vector<std::string>& words) {
    try {
      const DataSets sets(options, /*training=*/true);
      ADD_FAILURE() << "was not refused: " << words[0];
    } catch (const DataError& error) {
      for (const std::string& word : words) {
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
      }
    }
  }
  static void expect_said(const DataSets& sets, const std::string& word) {
    std::string all;
    for (const std::string& text : sets.remarks) all += text + "\n";
    EXPECT_NE(all.find(word), std::string::npos) << all << "lacks " << word;
  }

  TemporaryFolder folder_;
};

TEST_F(DataSetsTest, ASubsetInAnyOrderIsMatchedByName) {
  train({"a", "b", "c"}, {0, 1, 2});
  validation({"b", "c"}, {0, 1, 1});
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{1, 2, 2}));
  expect_said(open(), "1 of 3 classes have no validation image: a");
  expect_said(open(), "matched by name");
  validation({"a", "c"}, {0, 1});
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{0, 2}));
  validation({"c", "a", "b"}, {0, 1, 2});
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(open().validation->class_names(), (ClassNames{"a", "b", "c"}));
  EXPECT_EQ(open().classes(0), 3);
}

TEST_F(DataSetsTest, OtherClassesAreRefusedWithTheDifference) {
  train({"a", "b", "c"}, {0, 1, 2});
  validation({"b", "c", "d"}, {0, 1, 2});
  expect_refused({"validation.h5", "only here: d; only there: a", "--classes"});
  validation({"b", "c", "d"}, {0, 1, 1});  // though nothing is of it
  expect_refused({"only here: d"});
}

TEST_F(DataSetsTest, EqualClassesAreNothingToTalkAbout) {
  train({"a", "b"}, {0, 1, 0});
  validation({"a", "b"}, {1, 0});
  EXPECT_TRUE(open().remarks.empty());
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{1, 0}));
}

TEST_F(DataSetsTest, ClassesWithoutImagesAreSaid) {
  train({}, {1, 2, 3, 4});
  validation({}, {4, 0});
  expect_said(open(), "1 of 5 classes have no training image: 0");
  expect_said(open(), "1 of 5 classes have validation images, but no training image: 0");
  train({"a", "b"}, {0, 0});
  validation({"a", "b"}, {0, 1});
  expect_said(open(), "1 of 2 classes have no training image: b");
}

TEST_F(DataSetsTest, BalancedWeightsGiveEachClassWithImagesTheSameShare) {
  train({"a", "b", "c", "d"}, {0, 0, 0, 1, 1, 3});
  validation({"a", "b", "c", "d"}, {0, 1, 2, 3});
  DataOptions options;
  EXPECT_TRUE(class_weights(open(), options, 4).empty());
  options.class_weights = ClassWeights::kBalanced;
  EXPECT_EQ(class_weights(open(), options, 5), (std::vector<double>{2.0 / 3, 1, 0, 2, 0}));
}

TEST_F(DataSetsTest, SetsThatShareNoClassAreRefused) {
  train({}, {0, 1, 2});
  validation({}, {1000, 2000});
  expect_refused({"no image of any class", "0, 1, 2", "1000, 2000"});
  train({"a", "b"}, {0, 0});
  validation({"b"}, {0});
  expect_refused({"no image of any class"});
}

TEST_F(DataSetsTest, WithoutNamesOnOneSideLabelsAreNumbers) {
  train({"a", "b", "c"}, {0, 1, 2});
  validation({}, {2, 1});
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{2, 1}));
  expect_said(open(), "labels are taken as numbers");
  validation({}, {2, 3});
  EXPECT_THROW(open().classes(0), DataError);
}

// One file for all, whose labels lie elsewhere for validation.
TEST_F(DataSetsTest, SplitsMayBeGroupsOfOneFile) {
  {
    testing::Hdf5Editor file(folder_ / "all.h5", /*create=*/true);
    for (const char* split : {"a", "b"}) {
      file.put_group(split);
      file.put(std::string(split) + "/x", {2, 2, 2, 3}, std::vector<uint8_t>(24, 7));
      file.put(std::string(split) + "/y", {2}, std::vector<int64_t>{0, split[0] == 'a' ? 1 : 2});
    }
  }
  testing::Hdf5Editor(folder_ / "y.h5", true).put("z", {2, 1}, std::vector<int64_t>{1, 0});
  DataOptions options;
  options.train = {folder_ / "all.h5:/a"};
  options.validation = {folder_ / "all.h5:/b"};
  options.images = "x";
  options.labels = "y";
  EXPECT_THROW(DataSets(options, true).classes(0), DataError);  // a label that training lacks
  options.validation_labels = folder_ / "y.h5:/z";
  const DataSets sets(options, true);
  EXPECT_EQ(labels(sets), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(sets.train->label(1), 1);
}

// What a checkpoint holds of names that are not UTF-8.
TEST_F(DataSetsTest, NamesThatAreNotUtf8AreMatchedAsTheyAreKept) {
  train({"caf\xe9", "b"}, {0, 1});
  validation({"b", "caf\xe9"}, {0, 1});
  DataSets sets = open();
  EXPECT_EQ(labels(sets), (std::vector<int64_t>{1, 0}));
  sets.adopt_classes({"b", "caf\xef\xbf\xbd"}, "the checkpoint", false);
  EXPECT_EQ(labels(sets), (std::vector<int64_t>{0, 1}));
}

TEST_F(DataSetsTest, NamesThatAreKeptAlikeAreRefused) {
  train({"caf\xe9", "caf\xe8"}, {0, 1});
  validation({"caf\xe8", "caf\xe9"}, {0, 1});
  expect_refused({"as UTF-8", "two classes are named"});
  train({"caf\xef\xbf\xbd", "b"}, {0, 1});  // both of the two would be its first
  expect_refused({"validation.h5, as UTF-8", "two classes are named"});
}

// Folders 0, 1, 2, 10 are in order of name; another program's file numbers its labels.
TEST_F(DataSetsTest, NumbersAreMatchedWithClassesThatHaveNumbersForNames) {
  train({"0", "1", "10", "2"}, {0, 1, 2, 3});
  validation({}, {10, 2, 0});
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{2, 3, 0}));
  validation({}, {10, 3});
  expect_refused({"only here: 3"});
  train({}, {10, 2, 1, 0});
  validation({"0", "1", "10", "2"}, {0, 1, 2, 3});
  EXPECT_EQ(labels(open()), (std::vector<int64_t>{0, 1, 10, 2}));
  EXPECT_EQ(open().classes(0), 11);
}

TEST_F(DataSetsTest, AFileThatIsUsedTwiceIsSaid) {
  train({"a", "b"}, {0, 1});
  DataOptions same = options();
  same.train = {folder_ / "train.h5", (folder_ / ".") + "/train.h5"};
  same.validation = same.train;
  const DataSets sets(same, /*training=*/true);
  expect_said(sets, "train.h5 is named twice in data.train");
  expect_said(sets, "is both data.train and data.validation");
}

TEST_F(DataSetsTest, SyntheticSplitsAreSaidRecordedAndNoJudgesOfANetwork) {
  DataOptions options;
  options.train = options.validation = {kSynthetic};
  options.synthetic = {.images = 40, .validation_images = 12, .classes = 8};
  options.size = 16;
  const DataSets sets(options, /*training=*/true);
  expect_said(sets, "40 images are synthetic, random pixels and labels");
  const DataRecord record = describe(sets, options, sets.classes(0));
  EXPECT_EQ(record.train.storage, "synthetic");
  EXPECT_EQ(record.train.count, 40);
  EXPECT_EQ(record.validation.count, 12);
  EXPECT_EQ(record.classes, 8);
  // What looks the same but is real is another data set.
  DataRecord real = record;
  real.train.storage = "raw";
  EXPECT_NE(difference(real, record).find("then as synthetic"), std::string::npos);
  EXPECT_THROW(DataSets(options, /*training=*/false), ConfigError);
}

TEST_F(DataSetsTest, OtherClassesKeepTheirNumbersWhereThatIsAccepted) {
  train({"a", "b"}, {0, 1});
  validation({"a", "b"}, {0, 1});
  DataSets sets = open();
  sets.adopt_classes({"x", "y"}, "the checkpoint", /*accept=*/true);
  EXPECT_EQ(labels(sets), (std::vector<int64_t>{0, 1}));
  expect_said(sets, "labels are taken as numbers: only here: a, b; only there: x, y");
  EXPECT_THROW(sets.adopt_classes({"x", "y"}, "the checkpoint", false), DataError);
}

// ---- several files in a row -------------------------------------------------------------------

TEST_F(DataSetsTest, SeveralFilesAreOneSplit) {
  write("a.h5", {"x", "y", "z"}, {2, 0, 1});
  write("b.h5", {"z", "x"}, {0, 1});
  write("val.h5", {"z", "y"}, {0, 1});
  DataOptions options;
  options.train = {folder_ / "a.h5", folder_ / "b.h5"};
  options.validation = {folder_ / "a.h5", folder_ / "val.h5"};
  const DataSets sets(options, /*training=*/true);
  EXPECT_EQ(sets.train->class_names(), (ClassNames{"x", "y", "z"}));
  std::vector<int64_t> trained;
  for (int64_t i = 0; i < sets.train->count(); ++i) trained.push_back(sets.train->label(i));
  EXPECT_EQ(trained, (std::vector<int64_t>{2, 0, 1, 2, 0})) << "found by name";
  EXPECT_EQ(labels(sets), (std::vector<int64_t>{2, 0, 1, 2, 1}));
  EXPECT_EQ(sets.train->name_of(4), folder_ / "b.h5" + ", sample 1");
  EXPECT_EQ(describe(sets, options, 3).train.count, 5);
}

TEST_F(DataSetsTest, FilesThatDoNotFitAreRefusedByName) {
  write("a.h5", {"x", "y"}, {0, 1});
  write("b.h5", {"x", "w"}, {0, 1});
  DataOptions options;
  options.train = {folder_ / "a.h5", folder_ / "b.h5"};
  expect_refused(options, {"b.h5", "a.h5", "only here: w; only there: y"});
  write("b.h5", {"x", "y"}, {0, 1}, 9);
  expect_refused(options, {"b.h5", "raw images of 9x9", "a.h5"});
  options.train = {folder_ / "a.h5", folder_ / "none.h5"};
  expect_refused(options, {"none.h5", "cannot be opened"});
}

}  // namespace
}  // namespace resnext
