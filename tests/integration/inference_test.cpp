// What is done with a trained network: tables of --evaluate, --classify, --features, other sizes
// and crops. Features are checked by what they must become in the classifier, in float64.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "data/container/hdf5_handle.h"
#include "data/image/jpeg_encoder.h"
#include "model/weights/state_dict.h"
#include "tests/integration/worker_run.h"
#include "tests/support/tiny_data.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
// Images by true and predicted class.
using Table = std::map<std::pair<int, int>, int>;

const char* const kClasses[] = {"ant", "bee, the \"busy\"", "cat", "dog"};

// Noise around the colour of a class; some rows in another class's, so that not all are told right.
Image picture(int number, int c) {
  Image image;
  image.resize(20, 24);
  uint32_t random = static_cast<uint32_t>(number) * 2654435761U + 1;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    random = random * 1664525U + 1013904223U;
    const int colour = number % 5 == 0 && i > 600 ? (c + 1) % 4 : c;
    image.pixels[i] = static_cast<uint8_t>((random >> 24U) % 96 + 40 * colour);
  }
  return image;
}

// A folder of photographs in class folders, packed into both splits, and a network trained on it.
class Inference : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared = std::make_unique<Workspace>();
    const Workspace& work = *shared;
    for (int i = 0; i < 48; ++i) {
      const fs::path folder = fs::path(work / "photos") / kClasses[i % 4];
      fs::create_directories(folder);
      char name[16];
      std::snprintf(name, sizeof name, "%02d.jpg", i);
      const auto bytes = encode_jpeg(picture(i, i % 4).view(), 90);
      write_text(folder / name, std::string(bytes.begin(), bytes.end()));
    }
    for (const char* split : {"train.h5", "validation.h5"}) {
      const Result packed =
          run({RESNEXT_BIN_DIR "/resnext_data", "pack", "imagefolder", work / "photos",
               work / split, "--force", "--storage", "jpeg", "--order", "sorted"},
              kRunTimeout);
      ASSERT_EQ(packed.exit_code, 0) << packed.err;
    }
    const Result trained = work.train(0, "run", {"run.epochs=4"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }

  static void TearDownTestSuite() { shared.reset(); }

  std::string use(int ranks, const Words& arguments, int code = 0) {
    const Result result = run(work.train_command(ranks, "run", arguments), kRunTimeout);
    EXPECT_EQ(result.exit_code, code) << result.err;
    errors = result.err;
    return result.out;
  }

  Json evaluate(int ranks, const Words& more = {}) {
    return Json::parse(use(ranks, more + Words{"--evaluate", "--json"}));
  }

  static inline std::unique_ptr<Workspace> shared;
  const Workspace& work = *shared;
  std::string errors;
};

Table confusion(const std::string& path) {
  Table table;
  std::istringstream lines(read_text(path));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "true,predicted,true_name,predicted_name,images");
  while (std::getline(lines, line)) {
    int t = 0, p = 0;
    EXPECT_EQ(std::sscanf(line.c_str(), "%d,%d,", &t, &p), 2) << line;
    table[{t, p}] = std::stoi(line.substr(line.rfind(',') + 1));
  }
  return table;
}

int total(const Table& table, bool right) {
  int images = 0;
  for (const auto& [cell, count] : table) {
    if (!right || cell.first == cell.second) images += count;
  }
  return images;
}

TEST_F(Inference, TablesAgreeWithTheAccuracyOnAnyNumberOfRanks) {
  Table first;
  for (const int ranks : {0, 2, 3}) {
    const Json found =
        evaluate(ranks, {"--force", "--confusion", work / "c.csv", "--per-class", work / "p.csv"});
    EXPECT_EQ(found.at("images"), 48);
    const Table table = confusion(work / "c.csv");
    EXPECT_EQ(total(table, false), 48);
    EXPECT_NEAR(found.at("top1"), 100.0 * total(table, true) / 48, 1e-9);
    if (ranks == 0) first = table;
    EXPECT_EQ(table, first);
    const std::string classes = read_text(work / "p.csv");
    EXPECT_TRUE(classes.starts_with("class,name,images,top1,top5\n0,\"ant\",12,")) << classes;
    EXPECT_NE(classes.find("\n1,\"bee, the \"\"busy\"\"\",12,"), std::string::npos) << classes;
    EXPECT_EQ(std::ranges::count(classes, '\n'), 5);
  }
  EXPECT_LT(total(first, true), 48) << "the pictures are too easy to show a wrong table";
  EXPECT_GT(total(first, true), 12);
}

TEST_F(Inference, ATableThatCannotBeWrittenIsAnError) {
  use(2, {"--evaluate", "--confusion", work / "none/c.csv"}, 73);
  EXPECT_EQ(error_lines(errors).size(), 1U) << errors;
}

// Neither a data set nor the other table.
TEST_F(Inference, FilesThatAreThereAreNotReplaced) {
  const std::string data = read_text(work / "validation.h5");
  use(2, {"--features", work / "validation.h5"}, 64);
  EXPECT_NE(errors.find("validation.h5: exists already"), std::string::npos) << errors;
  EXPECT_EQ(read_text(work / "validation.h5"), data);
  use(0, {"--evaluate", "--confusion", work / "t.csv", "--per-class", work / "t.csv"}, 64);
  EXPECT_NE(errors.find("is to be written twice"), std::string::npos) << errors;
  EXPECT_FALSE(fs::exists(work / "t.csv"));
  use(0, {"--evaluate", "--force", "--per-class", "/dev/null"}, 64);
}

TEST_F(Inference, AClassifierThatHasLearnedNothingIsNotAsked) {
  const std::string file = newest_checkpoint(work / "run") / "model.pt";
  use(2, {"--evaluate", "model.pretrained=" + file, "model.reset_classifier=true"}, 64);
  EXPECT_NE(errors.find("learned nothing"), std::string::npos) << errors;
}

// The same images, from a container and from their files.
TEST_F(Inference, ClassifyingTheFilesTellsWhatEvaluationCounted) {
  evaluate(0, {"--force", "--confusion", work / "c.csv"});
  for (const int ranks : {0, 3}) {
    Table table;
    std::istringstream lines(use(ranks, {"--json", "--classify", work / "photos"}));
    for (std::string line; std::getline(lines, line);) {
      const Json found = Json::parse(line);
      const std::string folder = fs::path(found.at("file")).parent_path().filename();
      const auto* c = std::ranges::find(kClasses, folder);
      const Json& classes = found.at("classes");
      ++table[{static_cast<int>(c - kClasses), classes.at(0).at("class")}];
      double sum = 0;
      for (const Json& one : classes) {
        sum += one.at("probability").get<double>();
        EXPECT_EQ(one.at("name"), kClasses[one.at("class").get<int>()]);
      }
      EXPECT_NEAR(sum, 1, 1e-9);  // four classes are all of them
    }
    EXPECT_EQ(table, confusion(work / "c.csv"));
  }
}

TEST_F(Inference, ClassifyNeedsNoDataAndSaysWhichImageIsDamaged) {
  fs::rename(work / "validation.h5", work / "elsewhere.h5");
  write_text(work / "bad.jpg", "no image");
  const std::string good = work / "photos/cat/02.jpg";
  const std::string out = use(2, {"--classify", good, work / "bad.jpg"}, 65);
  EXPECT_TRUE(out.starts_with(good + ": ")) << out;
  EXPECT_NE(out.find(work / "bad.jpg" + ": damaged\n"), std::string::npos) << out;
  use(2, {"--classify", work / "nothing.jpg"}, 64);
  fs::create_directory(work / "empty");
  use(0, {"--classify", work / "empty"}, 64);
  fs::copy_file(good, work / "empty/a.jpg");
  write_text(work / "empty/b.heic", "another program's image");
  use(2, {"--classify", work / "empty"});
  EXPECT_NE(errors.find("1 files are not named .jpg"), std::string::npos) << errors;
  fs::rename(work / "elsewhere.h5", work / "validation.h5");
}

template <class T>
std::vector<T> read_dataset(const std::string& path, const char* name, hid_t type) {
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  const Hdf5Handle set(H5Dopen2(file.get(), name, H5P_DEFAULT), H5Dclose);
  const Hdf5Handle space(H5Dget_space(set.get()), H5Sclose);
  std::vector<T> values(static_cast<size_t>(H5Sget_simple_extent_npoints(space.get())));
  EXPECT_GE(H5Dread(set.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  return values;
}

TEST_F(Inference, FeaturesBecomeWhatTheClassifierSaid) {
  evaluate(0, {"--force", "--confusion", work / "c.csv"});
  const StateDict weights = load_state_dict(newest_checkpoint(work / "run") / "model.pt");
  const auto tensor = [&](const std::string& name) {
    const auto at = std::ranges::find(weights, name, [](const auto& entry) { return entry.first; });
    return at->second.to(at::kDouble);
  };
  std::vector<float> first;
  for (const int ranks : {0, 2, 4}) {
    use(ranks, {"--force", "--features", work / "f.h5", "batch.global=20"});
    auto values = read_dataset<float>(work / "f.h5", "features", H5T_NATIVE_FLOAT);
    const auto labels = read_dataset<int64_t>(work / "f.h5", "labels", H5T_NATIVE_INT64);
    ASSERT_EQ(labels.size(), 48U);
    const at::Tensor features =
        at::from_blob(values.data(), {48, static_cast<int64_t>(values.size()) / 48}, at::kFloat);
    const at::Tensor logits =
        at::linear(features.to(at::kDouble), tensor("fc.weight"), tensor("fc.bias"));
    const at::Tensor predicted = logits.argmax(1);
    Table table;
    for (int i = 0; i < 48; ++i) {
      EXPECT_EQ(labels[i], i / 12);  // in the split's order
      ++table[{static_cast<int>(labels[i]), static_cast<int>(predicted[i].item<int64_t>())}];
    }
    EXPECT_EQ(table, confusion(work / "c.csv"));
    if (ranks == 0) first = values;
    for (size_t i = 0; i < first.size(); ++i) ASSERT_NEAR(values[i], first[i], 1e-5);
  }
  EXPECT_EQ(read_dataset<char*>(work / "f.h5", "class_names",
                                [] {
                                  const hid_t text = H5Tcopy(H5T_C_S1);
                                  H5Tset_size(text, H5T_VARIABLE);
                                  H5Tset_cset(text, H5T_CSET_UTF8);
                                  return text;
                                }())
                .size(),
            4U);
}

TEST_F(Inference, FeaturesThatCannotBeWrittenLeaveNothing) {
  use(2, {"--features", work / "none/f.h5"}, 73);
  EXPECT_FALSE(fs::exists(work / "none"));
}

// Images of 20 x 24 pixels at 16, and at their own shorter side, where the square is larger.
TEST_F(Inference, OtherSizesAndTenCropsAreOtherEvaluationsOfTheSameNetwork) {
  const double usual = evaluate(0).at("loss");
  const Words larger = {"data.recipe=torchvision", "data.evaluation_size=20", "data.resize=20"};
  const double large = evaluate(2, larger).at("loss");
  const double ten =
      evaluate(2, larger + Words{"data.evaluation_size=16", "data.crops=10"}).at("loss");
  EXPECT_NE(large, usual);
  EXPECT_NE(ten, large);
  const Json again = evaluate(3, larger + Words{"data.evaluation_size=16", "data.crops=10"});
  EXPECT_NEAR(again.at("loss"), ten, 1e-5);
  use(0, {"--evaluate", "data.crops=3"}, 64);
  EXPECT_NE(errors.find("data.crops"), std::string::npos);
}

}  // namespace
}  // namespace resnext::test
