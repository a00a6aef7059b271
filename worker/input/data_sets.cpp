// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/data_sets.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "data/checksum.h"

namespace resnext {
namespace {

void check_named(const std::string& file, const char* key) {
  if (!file.empty()) return;
  throw ConfigError(key, "no file is named",
                    fmt::format("add {}=FILE.h5, made by: resnext_data pack", key));
}

void check_labels(const Container& container, int64_t classes) {
  if (container.classes() <= classes) return;
  throw DataError(container.path(),
                  fmt::format("has {} classes, the model only {}", container.classes(), classes),
                  "set model.classes to 0 or to the number of classes of the data");
}

SplitRecord describe(const Container& container) {
  std::vector<int64_t> labels(static_cast<size_t>(container.count()));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = container.label(static_cast<int64_t>(i));
  const auto* bytes = reinterpret_cast<const uint8_t*>(labels.data());
  return {container.count(), crc32c({bytes, labels.size() * sizeof(int64_t)}),
          container.storage() == Storage::kRaw ? "raw" : "jpeg"};
}

// As a manifest can hold it: what is not UTF-8 becomes U+FFFD.
std::string valid_utf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

DataSets::DataSets(const DataOptions& options, bool training) {
  if (training) {
    check_named(options.train, "data.train");
    train.emplace(options.train);
  } else {
    check_named(options.validation, "data.validation");
  }
  if (!options.validation.empty()) validation.emplace(options.validation);
}

int64_t DataSets::classes(int64_t configured) const {
  const int64_t classes = configured > 0 ? configured : reference().classes();
  check_labels(reference(), classes);
  if (validation) check_labels(*validation, classes);
  return classes;
}

DataRecord describe(const DataSets& sets, const DataOptions& options, int64_t classes) {
  DataRecord record;
  if (sets.train) record.train = describe(*sets.train);
  if (sets.validation) record.validation = describe(*sets.validation);
  for (const std::string& name : sets.reference().class_names()) {
    record.class_names.push_back(valid_utf8(name));
  }
  record.classes = classes;
  record.mean = sets.reference().mean();
  record.std = sets.reference().std();
  record.recipe = options.recipe;
  record.size = options.size;
  record.evaluation_size = evaluation_size(options);
  record.resize = options.resize;
  return record;
}

Recipe make_recipe(const DataOptions& data, bool training, const std::array<double, 3>& mean) {
  RecipeOptions recipe;
  recipe.name = data.recipe;
  recipe.size = training ? data.size : evaluation_size(data);
  recipe.resize = data.resize;
  recipe.crops = training ? 1 : data.crops;
  recipe.training = training;
  for (size_t c = 0; c < mean.size(); ++c) recipe.fill[c] = 255 * mean[c];
  return Recipe(recipe);
}

std::unique_ptr<DataLoader> make_loader(const Container& container, const RunConfig& config,
                                        const BatchOptions& batch, int rank, int world_size,
                                        bool training, HostAllocator allocate) {
  LoaderOptions options;
  options.rank = rank;
  options.world_size = world_size;
  options.per_rank = batch.per_rank;
  options.accumulation = training ? batch.accumulation : 1;
  options.threads = config.data.threads;
  options.prefetch = config.data.prefetch;
  options.seed = config.run.seed;
  options.training = training;
  options.shuffle = config.data.shuffle;
  options.allocate = std::move(allocate);
  const Recipe recipe = make_recipe(config.data, training, container.mean());
  return std::make_unique<DataLoader>(container, recipe, options);
}

}  // namespace resnext
