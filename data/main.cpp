// resnext_data: packs image sets into containers, checks and describes containers.
// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "comm/common/error.h"
#include "data/packer.h"

namespace {

using namespace resnext;

void add_pack_idx(CLI::App& pack) {
  auto* command = pack.add_subcommand("idx", "MNIST's format: IMAGES LABELS OUT.h5");
  auto source = std::make_shared<IdxSource>();
  auto out = std::make_shared<std::string>();
  command->add_option("IMAGES", source->images, "idx3-ubyte file, plain or gzip")->required();
  command->add_option("LABELS", source->labels, "idx1-ubyte file, plain or gzip")->required();
  command->add_option("OUT", *out, "container to write")->required();
  command->add_option("--class-names", source->class_names, "names of the classes: a,b,...")
      ->delimiter(',');
  command->callback([source, out] { pack_idx(*source, *out); });
}

int run(int argc, char** argv) {
  CLI::App app("Packs image sets into containers, checks and describes containers.");
  app.require_subcommand(1);
  auto* pack = app.add_subcommand("pack", "Write a container");
  pack->require_subcommand(1);
  add_pack_idx(*pack);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kConfig);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "resnext_data: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "resnext_data: internal error: %s\n", error.what());
    return static_cast<int>(ExitCode::kInternal);
  }
}
