// resnext_data: packs image sets into containers, checks and describes containers.
// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "comm/common/command_parser.h"
#include "comm/common/error.h"
#include "comm/common/memory.h"
#include "data/container/container_writer.h"
#include "data/pack/inspection.h"
#include "data/pack/packer.h"
#include "data/pack/progress.h"
#include "data/pack/shuffle_quality.h"
#include "data/pack/stop_requests.h"

namespace {

using namespace resnext;

// What a long command tells, and how it is stopped. `out`: what has to go when that takes force.
struct Dialogue {
  Progress progress;
  StopRequests stop;

  explicit Dialogue(const std::string& out = {})
      : stop(out.empty() ? out : ContainerWriter::partial_path(out)) {}

  void show(int64_t done, int64_t total) {
    progress.update(done, total);
    stop.check();
  }
  PackObserver observer() {
    PackObserver observer;
    observer.progress = [this](int64_t done, int64_t total) { show(done, total); };
    observer.warning = [this](const std::string& text) { progress.message("warning: " + text); };
    return observer;
  }
};

int64_t all_cores() {
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

// The file to write, and whether it may replace one.
struct Output {
  std::string path;
  bool force = false;

  void check() const {
    if (!std::filesystem::exists(path)) return;
    if (!std::filesystem::is_regular_file(path)) {
      throw ConfigError(path, "is a folder or device", "give the name of a file");
    }
    if (force) return;
    throw ConfigError(path, "exists already", "give another name, or --force to replace it");
  }
};

std::shared_ptr<Output> add_output(CLI::App& command) {
  auto output = std::make_shared<Output>();
  command.add_option("OUT", output->path, "container to write")->required();
  command.add_flag("--force", output->force, "replace OUT if it exists");
  return output;
}

constexpr const char* kShuffled = "--order shuffled";

// Throws where an option is given that would be ignored; `used`: what it belongs to.
void refuse_ignored(const CLI::App& command, const char* option, bool ignored, const char* used) {
  if (!ignored || command.count(option) == 0) return;
  throw ConfigError(option, "has no effect here", std::string("it belongs to ") + used);
}

// What packs of many images have in common. `source_order`: the word for the order that they have;
// `orders`: what the words mean. `packing` must live until the command line is read.
void add_packing_options(CLI::App& command, PackingOptions& packing, const char* source_order,
                         const std::string& orders) {
  const std::map<std::string, bool> forms = {{"croppable", true}, {"unchanged", false}};
  command
      .add_option("--jpeg", packing.croppable,
                  "croppable (default): the same pixels without Exif and profiles, with restart "
                  "markers, so that random crops are decoded faster; or unchanged: the same bytes")
      ->transform(CLI::CheckedTransformer(forms));
  const std::map<std::string, bool> on_error = {{"fail", false}, {"skip", true}};
  command.add_option("--on-error", packing.skip_damaged, "what damaged images do")
      ->transform(CLI::CheckedTransformer(on_error));
  packing.threads = all_cores();
  command.add_option("--threads", packing.threads, "default: all cores")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command.add_option("--order", packing.order, orders)
      ->transform(CLI::CheckedTransformer(std::map<std::string, PackOrder>{
          {"shuffled", PackOrder::kShuffled}, {source_order, PackOrder::kSource}}));
  command.add_option("--seed", packing.seed, "of the shuffled order")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
}

void add_imagefolder(CLI::App& pack) {
  auto* command =
      pack.add_subcommand("imagefolder", "class folders, or one folder and a list of labels");
  auto source = std::make_shared<ImageFolderSource>();
  auto size = std::make_shared<int64_t>(0);
  command->add_option("SRC", source->folder, "folder that holds the class folders, or the images")
      ->required();
  auto output = add_output(*command);
  command->add_option("--classes", source->classes,
                      "the classes and their order: the training set's container, or a text file "
                      "with one name a line (default: the folders in order of name)");
  command->add_option("--labels", source->labels,
                      "text file for one folder without class folders; a line: file name and "
                      "class, which is a name or its place in --classes, counted from 0");
  const std::map<std::string, Storage> storages = {{"jpeg", Storage::kJpeg},
                                                   {"raw", Storage::kRaw}};
  command->add_option("--storage", source->storage, "encoded images, or squares of pixels")
      ->transform(CLI::CheckedTransformer(storages));
  command->add_option("--size", *size,
                      "raw: side of the squares (256); jpeg: shorter side of larger images, "
                      "encoded again (default: pixels unchanged)");
  command->add_option("--quality", source->quality, "of JPEG encoded again")->capture_default_str();
  add_packing_options(*command, source->packing, "sorted",
                      "shuffled (default; makes data.shuffle=block as good as full) or sorted: by "
                      "class, or as listed");
  command->callback([=] {
    output->check();
    source->packing.restart = output->force;
    constexpr int64_t kRawSize = 256;
    const bool given = command->count("--size") > 0;
    source->size = given ? *size : source->storage == Storage::kRaw ? kRawSize : 0;
    if (given && *size < 1) throw ConfigError("--size", "must be positive", "give 256");
    const bool raw = source->storage == Storage::kRaw;
    refuse_ignored(*command, "--seed", source->packing.order == PackOrder::kSource, kShuffled);
    refuse_ignored(*command, "--jpeg", raw, "--storage jpeg");
    refuse_ignored(*command, "--quality", raw || !given, "--size with --storage jpeg");
    Dialogue dialogue;
    pack_imagefolder(*source, output->path, dialogue.observer());
  });
}

void add_hdf5(CLI::App& pack) {
  auto* command = pack.add_subcommand("hdf5", "another program's HDF5 file, or a container again");
  auto source = std::make_shared<ContainerSource>();
  source->rounded = true;
  command->add_option("FILE", source->address, "FILE.h5 or FILE.h5:/GROUP")->required();
  auto output = add_output(*command);
  command->add_option("--images", source->images, "dataset of the images, in FILE or GROUP");
  command->add_option("--labels", source->labels,
                      "dataset of the labels; of another file: FILE.h5:/NAME");
  command->add_option("--classes", source->classes,
                      "the classes and their order: the training set's container, or a text file "
                      "with one name a line; labels that are numbers are places in it");
  auto packing = std::make_shared<PackingOptions>();
  add_packing_options(*command, *packing, "source", "source (default) or shuffled");
  command->callback([=] {
    output->check();
    refuse_ignored(*command, "--seed", packing->order == PackOrder::kSource, kShuffled);
    packing->restart = output->force;
    Dialogue dialogue;
    pack_hdf5(*source, output->path, dialogue.observer(), *packing);
  });
}

void add_cifar(CLI::App& pack, const char* name, CifarKind kind) {
  auto* command = pack.add_subcommand(name, "CIFAR's binary version");
  auto source = std::make_shared<CifarSource>();
  auto split = std::make_shared<std::string>();
  source->kind = kind;
  command->add_option("SRC", source->folder, "folder that holds the .bin files")->required();
  auto output = add_output(*command);
  command->add_option("--split", *split, "train or test")
      ->required()
      ->check(CLI::IsMember({"train", "test"}));
  command->callback([=] {
    output->check();
    source->training = *split == "train";
    const Dialogue dialogue(output->path);
    pack_cifar(*source, output->path);
  });
}

void add_idx(CLI::App& pack) {
  auto* command = pack.add_subcommand("idx", "MNIST's format, plain or gzip");
  auto source = std::make_shared<IdxSource>();
  command->add_option("IMAGES", source->images, "idx3-ubyte file")->required();
  command->add_option("LABELS", source->labels, "idx1-ubyte file")->required();
  auto output = add_output(*command);
  command->add_option("--class-names", source->class_names, "names of the classes: a,b,...")
      ->delimiter(',');
  command->callback([=] {
    output->check();
    const Dialogue dialogue(output->path);
    pack_idx(*source, output->path);
  });
}

void verify(const std::string& path, int64_t threads) {
  Dialogue dialogue;
  const auto result = verify_container(
      path, threads, [&](int64_t done, int64_t total) { dialogue.show(done, total); });
  for (const std::string& bad : result.first_bad) dialogue.progress.message(bad);
  if (result.bad > 0) {
    throw DataError(path, fmt::format("{} of {} samples are bad", result.bad, result.count),
                    "copy or pack the file again");
  }
  fmt::print("{}: all {} samples are good\n", path, result.count);
}

void add_verify(CLI::App& app) {
  auto* command = app.add_subcommand("verify", "read, check and decode every sample");
  auto path = std::make_shared<std::string>();
  auto threads = std::make_shared<int64_t>(all_cores());
  command->add_option("FILE", *path, "container")->required();
  command->add_option("--threads", *threads, "default: all cores")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->callback([=] { verify(*path, *threads); });
}

void add_inspect(CLI::App& app) {
  auto* command = app.add_subcommand("inspect", "describe a container");
  auto path = std::make_shared<std::string>();
  auto batch = std::make_shared<int64_t>(256);
  command->add_option("FILE", *path, "container")->required();
  auto shuffle = std::make_shared<bool>(false);
  command->add_flag("--shuffle", *shuffle,
                    "measure data.shuffle full and block: classes in a batch, rates of reading");
  command->add_option("--batch", *batch, "images of a batch for --shuffle")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->callback([=] {
    fmt::print("{}", describe_container(*path));
    if (*shuffle) fmt::print("{}", describe_shuffle(Container(*path), *batch));
  });
}

int run(int argc, char** argv) {
  CommandParser parser("resnext_data",
                       "Packs image sets into containers, checks and describes containers.");
  CLI::App& app = parser.app();
  app.require_subcommand(1);
  auto* pack = app.add_subcommand("pack", "write a container");
  pack->require_subcommand(1);
  add_imagefolder(*pack);
  add_hdf5(*pack);
  add_cifar(*pack, "cifar10", CifarKind::kCifar10);
  add_cifar(*pack, "cifar100", CifarKind::kCifar100);
  add_idx(*pack);
  add_verify(app);
  add_inspect(app);
  if (const auto text = parser.parse(argc, argv)) fmt::print("{}", *text);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    fmt::print(stderr, "resnext_data: {}\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "resnext_data: internal error: {}\n", error.what());
    return static_cast<int>(ExitCode::kInternal);
  }
}
