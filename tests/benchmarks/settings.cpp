// SPDX-License-Identifier: BSD-3-Clause
#include "tests/benchmarks/settings.h"

#include <map>

#include "comm/common/error.h"
#include "configs/yaml_reader.h"

namespace resnext {
namespace {

const std::map<std::string, Compute> kComputeTypes = {{"fp32", Compute::kFp32},
                                                      {"tf32", Compute::kTf32},
                                                      {"bf16", Compute::kBf16},
                                                      {"fp16", Compute::kFp16},
                                                      {"fp64", Compute::kFp64}};

void use_defaults(RunConfig& run) {
  if (run.model.classes == 0) run.model.classes = 1000;
  run.batch = {.per_rank = 8};
  run.data.size = 224;
  run.data.early_sizes.clear();
}

}  // namespace

// Options take effect in the order in which they are added: the file before the others.
void add_benchmark_options(CLI::App& app, BenchmarkSettings& settings) {
  RunConfig& run = settings.run;
  use_defaults(run);
  const auto overrides =
      app.add_option("overrides", settings.overrides, "KEY=VALUE of the configuration");
  const auto config = app.add_option_function<std::string>(
      "--config",
      [&](const std::string& file) {
        settings.run = read_run_config(file, settings.overrides);
        use_defaults(settings.run);
      },
      "configuration whose network and recipe it is");
  overrides->needs(config);
  app.add_option("--depth", run.model.depth);
  app.add_option("--cardinality", run.model.cardinality);
  app.add_option("--base-width", run.model.base_width);
  app.add_option("--batch", run.batch.per_rank, "images a rank");
  app.add_option("--size", run.data.size, "side of the images, pixels");
  app.add_option("--steps", settings.steps, "counted steps");
  app.add_option("--compute", run.precision.compute)
      ->transform(CLI::CheckedTransformer(kComputeTypes, CLI::ignore_case));
  app.add_option("--json", settings.json, "file for the figures");
}

void parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::exit(static_cast<int>(error.exit_code()));
  }
}

}  // namespace resnext
