// What the worker does besides training: --print-config, --plan, --evaluate, --help, --version.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "model/weights/state_dict.h"
#include "tests/integration/worker_run.h"
#include "tests/support/tiny_data.h"

namespace resnext::test {
namespace {

namespace fs = std::filesystem;

void expect_has(const std::string& text, const Words& fragments) {
  for (const std::string& fragment : fragments) {
    EXPECT_NE(text.find(fragment), std::string::npos) << text << "\nlacks " << fragment;
  }
}

TEST(Actions, HelpAndVersionNeedNoConfiguration) {
  for (const int ranks : {0, 2}) {
    const Result help = run(worker_command(ranks, {"--help"}), kRunTimeout);
    EXPECT_EQ(help.exit_code, 0);
    expect_has(help.out,
               {"Usage:", "config", "--evaluate", "--export", "--print-config", "--plan"});
    EXPECT_EQ(help.out.find("Usage:"), help.out.rfind("Usage:")) << "more than one rank prints";
  }
  const Result version = run(worker_command(0, {"--version"}), kRunTimeout);
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(version.out.at(0)))) << version.out;
}

TEST(Actions, PrintedConfigurationIsAConfigurationThatPrintsTheSame) {
  const Workspace work;
  const Words more = {"schedule.milestones=[1, 1.5]", "run.name='a: \"b\" #c'", "--print-config"};
  const Result first = run(work.train_command(0, "run", more), kRunTimeout);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  write_text(work / "printed.yaml", first.out);
  for (const int ranks : {0, 2}) {
    const Words command = worker_command(ranks, {work / "printed.yaml", "--print-config"});
    const Result second = run(command, kRunTimeout);
    EXPECT_EQ(second.exit_code, 0) << second.err;
    EXPECT_EQ(second.out, first.out);
  }
  EXPECT_FALSE(fs::exists(work / "run"));
}

TEST(Actions, RunCanBeRepeatedFromTheConfigurationInItsFolder) {
  const Workspace work;
  ASSERT_EQ(work.train(0, "first", {"optimizer.base_lr=0.02"}).exit_code, 0);
  const Words again = {work / "first/config.yaml", "run.output=" + work / "second"};
  const Result second = run(worker_command(0, again), kRunTimeout);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_TRUE(same_run(work / "first", work / "second"));
}

TEST(Actions, PlanPrintsTheArithmeticAndWritesNothing) {
  const Workspace work;
  for (const int ranks : {1, 3}) {
    const Words more = {"--plan", "batch.global=24", "optimizer.base_lr=0.1"};
    const Result plan = run(work.train_command(ranks, "run", more), kRunTimeout);
    EXPECT_EQ(plan.exit_code, 0) << plan.err;
    expect_has(plan.out, {"ResNeXt-11 2x16d, 4 classes", "96 images, 4 steps an epoch, 8 steps",
                          "validation      37 images", "0.2 = 0.1 x 24 / 12",
                          "24 = " + std::to_string(24 / ranks) + " a rank x " +
                              std::to_string(ranks) + " ranks x 1 accumulation"});
    EXPECT_EQ(plan.out.find("global batch"), plan.out.rfind("global batch"));
    EXPECT_FALSE(fs::exists(work / "run"));
  }
}

TEST(Actions, PlanNeedsNoData) {
  const Workspace work;
  for (const int ranks : {0, 2}) {
    const Words assumed = {"--plan", "data.train=/nowhere.h5", "data.validation=\"\""};
    const Result plan = run(work.train_command(ranks, "run", assumed), kRunTimeout);
    EXPECT_EQ(plan.exit_code, 0) << plan.err;
    expect_has(plan.out, {"50000 images", "CIFAR-10, /nowhere.h5 is not there", "schedule"});
    const Words said = {"--plan", "--images", "240,60", "batch.global=24", "model.classes=7"};
    const Result counted = run(work.train_command(ranks, "run", said), kRunTimeout);
    EXPECT_EQ(counted.exit_code, 0) << counted.err;
    expect_has(counted.out, {"240 images, 10 steps an epoch", "60 images", "7 classes"});
  }
  EXPECT_FALSE(fs::exists(work / "run"));
}

// What somebody in front of a terminal sees of a run, started by the launcher or by itself.
class OnATerminal : public testing::TestWithParam<bool> {
 protected:
  std::string seen(const Words& more, const Words& environment = {}) {
    const Words worker = work_.train_command(0, "run" + std::to_string(++runs_), more);
    Words words = worker;
    if (GetParam()) {
      const auto program = std::ranges::find(worker, RESNEXT_BIN_DIR "/resnext_worker");
      words = Words(worker.begin(), program) +
              Words{RESNEXT_BIN_DIR "/resnext_launcher", "run", "-n", "2"} +
              Words(program + 1, worker.end());
    }
    std::string line;
    for (const std::string& word : words) line += "'" + word + "' ";
    const Words terminal = {"script", "--quiet", "--return", "--command", line, "/dev/null"};
    const Result result = run(terminal, kRunTimeout, Words{"TERM=xterm"} + environment);
    EXPECT_EQ(result.exit_code, 0) << result.out;
    return result.out;
  }

  const Workspace work_;
  int runs_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, OnATerminal, testing::Bool(),
                         [](const auto& by) { return by.param ? "ByTheLauncher" : "ByItself"; });

TEST_P(OnATerminal, ARunShowsOneLiveLineAndColours) {
  const std::string text = seen({});
  expect_has(text, {"\r\033[K[=", " %  epoch 2/2  loss ", "\033[32minfo", "finished: step 16"});
  EXPECT_EQ(text.find("data wait"), std::string::npos) << "a line for each log interval\n" << text;
}

TEST_P(OnATerminal, NoColorAndQuietAreKeptTo) {
  const std::string plain = seen({}, {"NO_COLOR=1"});
  expect_has(plain, {"\r\033[K[=", " info "});
  EXPECT_EQ(plain.find("\033[32m"), std::string::npos) << plain;
  const std::string quiet = seen({"--quiet"});  // a slow rank may still be warned of
  for (const char* word : {"info", "[=", "learning rate"}) {
    EXPECT_EQ(quiet.find(word), std::string::npos) << word << "\n" << quiet;
  }
}

TEST(Actions, WithoutATerminalLinesArePlain) {
  const Workspace work;
  const Result result = work.train(0, "run", {});
  EXPECT_EQ(result.err.find('\033'), std::string::npos) << result.err;
  expect_has(result.err, {"data wait"});
}

// The same values under the same names, in any order.
bool same_tensors(const StateDict& a, const StateDict& b) {
  const std::map<std::string, at::Tensor> x(a.begin(), a.end()), y(b.begin(), b.end());
  return std::ranges::equal(x, y, [](const auto& p, const auto& q) {
    return p.first == q.first && p.second.equal(q.second);
  });
}

struct Evaluation {
  double top1 = -1;
  double top5 = -1;
  double loss = -1;
  int images = -1;
};

Evaluation evaluate(const Workspace& work, int ranks, const Words& more = {}) {
  const Words arguments = more + Words{"--evaluate"};
  const Result result = run(work.train_command(ranks, "run", arguments), kRunTimeout);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  Evaluation e;
  const int read =
      std::sscanf(result.out.c_str(), "top-1 %lf %%  top-5 %lf %%  loss %lf  images %d", &e.top1,
                  &e.top5, &e.loss, &e.images);
  EXPECT_EQ(read, 4) << result.out;
  return e;
}

// Batches of 12, 6, 4 and 3 a rank: the printed loss may differ in its last digit.
TEST(Actions, EvaluationDoesNotDependOnTheNumberOfRanks) {
  const Workspace work;
  ASSERT_EQ(work.train(0, "run", {"run.steps=5"}).exit_code, 0);
  const std::string metrics = read_text(work / "run/metrics.jsonl");
  const Evaluation alone = evaluate(work, 0);
  EXPECT_EQ(alone.images, 37);
  expect_has(metrics, {"\"top1\":" + std::to_string(alone.top1).substr(0, 5)});
  for (int ranks = 1; ranks <= 4; ++ranks) {
    const Evaluation shared = evaluate(work, ranks);
    EXPECT_EQ(shared.images, 37);
    EXPECT_EQ(shared.top1, alone.top1);
    EXPECT_EQ(shared.top5, alone.top5);
    EXPECT_NEAR(shared.loss, alone.loss, 1.1e-5);
  }
  const std::string weights = (newest_checkpoint(work / "run") / "model.pt").string();
  const Words pretrained = {"run.output=" + work / "none", "model.pretrained=" + weights};
  EXPECT_EQ(evaluate(work, 0, pretrained).loss, alone.loss);
  EXPECT_EQ(read_text(work / "run/metrics.jsonl"), metrics);
  EXPECT_FALSE(fs::exists(work / "none"));
}

// Those that --evaluate would take; nothing else is written, and no data set is needed.
TEST(Actions, ExportWritesTheLatestOrTheNamedWeights) {
  const Workspace work;
  const Words often = {"checkpoint.every_steps=2", "checkpoint.keep=99"};
  ASSERT_EQ(work.train(0, "run", often).exit_code, 0);
  const std::string early = work / "run/checkpoints/step-00000002/model.pt";
  const std::string latest = (newest_checkpoint(work / "run") / "model.pt").string();
  const auto exported = [&](int ranks, const std::string& file, const Words& more) {
    const Words arguments =
        Words{"--force", "--export", work / file, "data.train=none.h5", "model.classes=0"};
    const Result result = run(work.train_command(ranks, "run", arguments + more), kRunTimeout);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return load_state_dict(work / file);
  };
  for (const char* file : {"a.pt", "a.safetensors"}) {
    for (const int ranks : {0, 2}) {
      EXPECT_TRUE(same_tensors(exported(ranks, file, {}), load_state_dict(latest))) << file;
    }
    EXPECT_TRUE(
        same_tensors(exported(0, file, {"model.pretrained=" + early}), load_state_dict(early)));
  }
  StateDict learned = load_state_dict(latest);
  std::erase_if(learned, [](const auto& e) { return e.first.ends_with("num_batches_tracked"); });
  EXPECT_TRUE(same_tensors(exported(0, "a.t7", {}), learned));
  const Words onnx = {"--export", work / "a.onnx", "--fold-norm"};
  ASSERT_EQ(run(work.train_command(2, "run", onnx), kRunTimeout).exit_code, 0);
  expect_has(read_text(work / "a.onnx"),
             {"images", "logits", "batch", "class_names", "layer3.0.conv3.bias", "fc.weight"});
}

TEST(Actions, ExportThatCannotBeWrittenLeavesNothing) {
  const Workspace work;
  ASSERT_EQ(work.train(0, "run", {}).exit_code, 0);
  const auto refused = [&](int ranks, const std::string& file) {
    return run(work.train_command(ranks, "run", {"--export", work / file}), kRunTimeout);
  };
  for (const int ranks : {0, 2}) {
    const Result unknown = refused(ranks, "a.onn");
    EXPECT_EQ(unknown.exit_code, 64) << unknown.err;
    expect_has(unknown.err, {"a.onn", ".pt, .pth, .safetensors, .t7, .onnx"});
    EXPECT_FALSE(fs::exists(work / "a.onn"));
    const Result unfolded = run(
        work.train_command(ranks, "run", {"--export", work / "a.pt", "--fold-norm"}), kRunTimeout);
    EXPECT_EQ(unfolded.exit_code, 64) << unfolded.err;
    expect_has(unfolded.err, {"a.pt", "in .onnx files only", "leave --fold-norm out"});
    const Result folder = refused(ranks, "none/a.pt");
    EXPECT_EQ(folder.exit_code, 73) << folder.err;
    expect_has(folder.err, {"none/a.pt", "its folder is not there"});
    write_text(work / "dear.pt", "days of work");
    const Result dear = refused(ranks, "dear.pt");
    EXPECT_EQ(dear.exit_code, 64) << dear.err;
    expect_has(dear.err, {"dear.pt: exists already", "--force"});
    EXPECT_EQ(read_text(work / "dear.pt"), "days of work");
  }
  fs::create_directory(work / "taken.pt");
  EXPECT_EQ(refused(0, "taken.pt").exit_code, 64);
  const Words forced = {"--force", "--export", work / "taken.pt"};
  EXPECT_EQ(run(work.train_command(0, "run", forced), kRunTimeout).exit_code, 64);
  EXPECT_FALSE(fs::exists(work / "taken.pt.tmp"));
}

// Weights that are named count, not those that lie in the run folder.
TEST(Actions, EvaluationTakesTheWeightsThatAreNamed) {
  const Workspace work;
  const Words often = {"checkpoint.every_steps=2", "checkpoint.keep=99"};
  ASSERT_EQ(work.train(0, "run", often).exit_code, 0);
  const std::string early = work / "run/checkpoints/step-00000002";
  const Evaluation newest = evaluate(work, 0), before = evaluate(work, 2, {"run.resume=" + early});
  EXPECT_NE(before.loss, newest.loss);
  const Evaluation named = evaluate(work, 2, {"model.pretrained=" + early + "/model.pt"});
  EXPECT_NEAR(named.loss, before.loss, 1.1e-5);
}

// The average is validated beside the weights, decides what is the best, and is a file by itself.
TEST(Actions, EvaluationTakesTheAverageWhereAsked) {
  const Workspace work;
  const Words averaged = {"ema.decay=0.7", "ema.every_steps=2", "optimizer.base_lr=0.2"};
  ASSERT_EQ(work.train(2, "run", averaged).exit_code, 0);
  double weights = 0, average = 0, best = -1;
  std::istringstream lines(read_text(work / "run/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line);
    if (event.at("event") == "validation") weights = event.at("loss");
    if (event.at("event") != "ema_validation") continue;
    average = event.at("loss");
    best = std::max(best, event.at("top1").get<double>());
  }
  EXPECT_NE(weights, average);
  EXPECT_NEAR(evaluate(work, 2).loss, weights, 1.1e-5);
  EXPECT_NEAR(evaluate(work, 0, {"ema.evaluate=true"}).loss, average, 1.1e-5);
  const std::string file = (newest_checkpoint(work / "run") / "ema.pt").string();
  EXPECT_NEAR(evaluate(work, 0, {"model.pretrained=" + file}).loss, average, 1.1e-5);
  const auto of_best =
      nlohmann::json::parse(read_text(work / "run/checkpoints/best/validation.json"));
  EXPECT_EQ(of_best.at("top1").get<double>(), best);
  // A run without one goes on with one, and has none to evaluate before.
  ASSERT_EQ(work.train(0, "plain", {"run.steps=3"}).exit_code, 0);
  const Result none =
      run(work.train_command(0, "plain", {"ema.evaluate=true", "--evaluate"}), kRunTimeout);
  EXPECT_EQ(none.exit_code, 64) << none.err;
  expect_has(none.err, {"ema.pt", "is missing"});
  EXPECT_EQ(work.train(0, "plain", averaged).exit_code, 0);
  EXPECT_TRUE(fs::exists(newest_checkpoint(work / "plain") / "ema.pt"));
  const Result odd = work.train(0, "odd", {"mix.mixup=0.2", "batch.global=9"});
  EXPECT_EQ(odd.exit_code, 64) << odd.err;
  expect_has(odd.err, {"mixed in pairs", "9"});
}

// Mean, deviation, classes and recipe of the training data come with the checkpoint: what the
// validation file says of itself changes nothing.
TEST(Actions, EvaluationFollowsTheCheckpointsData) {
  const Workspace work;
  ASSERT_EQ(work.train(0, "run").exit_code, 0);
  const Evaluation own = evaluate(work, 0);
  const std::string text = read_text(work.config());
  std::string without = text;
  const size_t recipe = without.find("recipe: cifar, size: 16, resize: 16, ");
  ASSERT_NE(recipe, std::string::npos);
  without.erase(recipe, std::string("recipe: cifar, size: 16, resize: 16, ").size());
  write_text(work.config(), without);
  EXPECT_EQ(evaluate(work, 0, {"data.train=\"\""}).loss, own.loss);
  write_text(work.config(), text);
  const auto metrics =
      nlohmann::json::parse(read_text(work / "run/checkpoints/step-00000016/validation.json"));
  EXPECT_NEAR(own.loss, metrics.at("loss").get<double>(), 1.1e-5);  // as training found it
}

// The same images under other labels: what they are called counts, not their numbers.
TEST(Actions, EvaluationMatchesClassesByName) {
  const Workspace work;
  ASSERT_EQ(work.train(0, "run").exit_code, 0);
  const Evaluation own = evaluate(work, 0);
  TinyData data{.images = 37, .key = 2, .first_class = 2};  // 2, 3, 0, 1 are called 0, 1, 2, 3
  write_tiny_container(work / "validation.h5", data);
  EXPECT_EQ(evaluate(work, 0, {"data.train=\"\""}).loss, own.loss);
  const std::string saved = (newest_checkpoint(work / "run") / "model.pt").string();
  EXPECT_EQ(evaluate(work, 0, {"model.pretrained=" + saved, "data.train=\"\""}).loss, own.loss)
      << "by the names that the save has beside its weights";
  const std::string weights = work / "elsewhere.pt";
  std::filesystem::copy_file(saved, weights);
  EXPECT_EQ(evaluate(work, 2, {"model.pretrained=" + weights}).top1, own.top1)
      << "by the names of data.train";
  const Words nameless = {"--evaluate", "model.pretrained=" + weights, "data.train=\"\""};
  expect_has(run(work.train_command(0, "run", nameless), kRunTimeout).err,
             {"the weights do not say what their classes are"});
  write_tiny_container(work / "validation.h5", {.images = 37, .classes = 5, .named = 5});
  const Result refused = run(work.train_command(0, "run", {"--evaluate"}), kRunTimeout);
  EXPECT_EQ(refused.exit_code, 65) << refused.err;
  expect_has(refused.err, {"only here: class 4", "not those of the checkpoint"});
}

}  // namespace
}  // namespace resnext::test
