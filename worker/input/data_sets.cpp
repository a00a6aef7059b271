// SPDX-License-Identifier: BSD-3-Clause
#include "worker/input/data_sets.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "data/container/checksum.h"
#include "data/container/synthetic_source.h"

namespace resnext {
namespace {

void check_named(const std::vector<std::string>& files, const char* key) {
  if (!files.empty()) return;
  throw ConfigError(key, "no file is named",
                    fmt::format("add {}=FILE.h5, made by: resnext_data pack", key));
}

void check_real(const std::vector<std::string>& validation) {
  if (!is_synthetic(validation)) return;
  throw ConfigError("data.validation", "is synthetic: of random images no network can be right",
                    "name a file with data.validation=FILE.h5");
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
  const std::string encoded = container.storage() == Storage::kRaw ? "raw" : "jpeg";
  return {container.count(), crc32c({bytes, labels.size() * sizeof(int64_t)}),
          container.synthetic() ? kSynthetic : encoded};
}

// Names as far as there are, else numbers; those of the classes that `choose` chooses.
template <typename Choose>
ClassNames chosen_classes(const Container& container, int64_t classes, const Choose& choose) {
  ClassNames chosen;
  for (int64_t i = 0; i < classes; ++i) {
    if (!choose(static_cast<size_t>(i))) continue;
    const bool named = i < static_cast<int64_t>(container.class_names().size());
    chosen.push_back(named ? container.class_names()[static_cast<size_t>(i)] : std::to_string(i));
  }
  return chosen;
}

void remark(std::vector<std::string>& remarks, const ClassNames& classes, size_t of,
            const char* what) {
  if (classes.empty()) return;
  remarks.push_back(
      fmt::format("{} of {} classes {}: {}", classes.size(), of, what, name_some(classes)));
}

// Which classes have images, in training and in validation.
void compare_counts(const Container& train, const Container& validation,
                    std::vector<std::string>& remarks) {
  std::vector<int64_t> learned = train.class_counts(), asked = validation.class_counts();
  const size_t classes = std::max(learned.size(), asked.size());
  learned.resize(classes);
  asked.resize(classes);
  const auto choose = [&](auto which) {
    return chosen_classes(train, static_cast<int64_t>(classes), which);
  };
  if (choose([&](size_t i) { return learned[i] > 0 && asked[i] > 0; }).empty()) {
    throw DataError(
        validation.path(),
        fmt::format("has no image of any class that {} has images of: classes {} there, "
                    "{} here",
                    train.path(), name_some(choose([&](size_t i) { return learned[i] > 0; })),
                    name_some(choose([&](size_t i) { return asked[i] > 0; }))),
        "name two splits of one data set, with the same labels");
  }
  remark(remarks, choose([&](size_t i) { return learned[i] > 0 && asked[i] == 0; }), classes,
         "have no validation image");
  remark(remarks, choose([&](size_t i) { return learned[i] == 0 && asked[i] > 0; }), classes,
         "have validation images, but no training image");
}

// As a manifest can hold it: what is not UTF-8 becomes U+FFFD.
std::string valid_utf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

ClassNames valid_utf8(ClassNames names) {
  for (std::string& name : names) name = valid_utf8(name);
  return names;
}

bool is_same(const std::string& one, const std::string& other) {
  const DataAddress a = parse_data_address(one), b = parse_data_address(other);
  std::error_code no_such_file;
  return a.object == b.object && std::filesystem::equivalent(a.file, b.file, no_such_file);
}

// Files that stand in two places, of which one is mostly a mistake.
void remark_repeated(const DataOptions& options, std::vector<std::string>& remarks) {
  for (auto at = options.train.begin(); at != options.train.end(); ++at) {
    const auto same = [&](const std::string& other) { return is_same(*at, other); };
    if (std::any_of(options.train.begin(), at, same)) {
      remarks.push_back(*at + " is named twice in data.train: its images are seen twice an epoch");
    }
    if (std::ranges::any_of(options.validation, same)) {
      remarks.push_back(*at +
                        " is both data.train and data.validation: accuracy is that of images "
                        "which were learned by heart");
    }
  }
}

ClassNames numbers_below(int64_t count) {
  ClassNames numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

int64_t largest_of(const ClassNames& numbers) {
  int64_t largest = 0;
  for (const std::string& name : numbers) largest = std::max(largest, *number_of(name));
  return largest;
}

}  // namespace

Container open_split(const DataOptions& options, bool training) {
  const std::vector<std::string>& split = training ? options.train : options.validation;
  if (is_synthetic(split)) {
    const SyntheticOptions& made = options.synthetic;
    return Container(SyntheticSet{training ? made.images : made.validation_images, made.classes,
                                  training ? options.size : evaluation_size(options),
                                  training ? uint64_t{0} : uint64_t{1}});
  }
  const bool same = training || options.validation_labels.empty();
  std::vector<ContainerSource> sources;
  for (const std::string& address : split) {
    sources.push_back({address, options.images, same ? options.labels : options.validation_labels});
  }
  return Container(sources);
}

DataSets::DataSets(const DataOptions& options, bool training) {
  if (training) {
    check_named(options.train, "data.train");
    train.emplace(open_split(options, /*training=*/true));
  } else {
    check_named(options.validation, "data.validation");
    check_real(options.validation);
  }
  if (!options.validation.empty()) validation.emplace(open_split(options, /*training=*/false));
  for (const auto* split : {&train, &validation}) {
    if (*split)
      remarks.insert(remarks.end(), (*split)->remarks().begin(), (*split)->remarks().end());
  }
  if (!train) return;
  remark_repeated(options, remarks);
  const std::vector<int64_t> learned = train->class_counts();
  remark(remarks,
         chosen_classes(*train, train->classes(), [&](size_t i) { return learned[i] == 0; }),
         learned.size(), "have no training image");
  if (!validation) return;
  adopt_classes(train->class_names(), train->path(), /*accept=*/false);
  compare_counts(*train, *validation, remarks);
}

void DataSets::adopt_classes(const ClassNames& names, const std::string& owner, bool accept) {
  ClassNames own = valid_utf8(validation->class_names()), all = valid_utf8(names);
  if (own.empty() && all.empty()) return;
  // Beside classes that have numbers for names, a label without a name is one: 10 is class "10".
  const bool numbered = own.empty() && are_numbers(all);
  if (numbered) own = numbers_below(validation->classes());
  if (all.empty() && are_numbers(own)) all = numbers_below(largest_of(own) + 1);
  if (own.empty() || all.empty()) {
    remarks.push_back(fmt::format("{} does not name its classes: labels are taken as numbers",
                                  own.empty() ? validation->path() : owner));
    return;
  }
  check_class_names(own, validation->path() + ", as UTF-8");
  check_class_names(all, owner + ", as UTF-8");
  const std::vector<int64_t> counts = validation->class_counts();
  const ClassNames asked = numbered ? chosen_classes(*validation, validation->classes(),
                                                     [&](size_t i) { return counts[i] > 0; })
                                    : own;
  const ClassNames unknown = missing_from(all, asked), unused = missing_from(asked, all);
  if (!unknown.empty()) {
    const std::string difference =
        fmt::format("only here: {}; only there: {}", name_some(unknown), name_some(unused));
    if (!accept) {
      throw DataError(
          validation->path(), fmt::format("its classes are not those of {}: {}", owner, difference),
          "pack it with those classes: resnext_data pack imagefolder|hdf5 ... --classes FILE.h5");
    }
    remarks.push_back(
        fmt::format("the classes of {} are not those of {}, labels are taken as "
                    "numbers: {}",
                    validation->path(), owner, difference));
    return;
  }
  if (own == all) return;
  validation->adopt_classes(all, places_of(own, all));
  remarks.push_back(fmt::format("the {} classes of {} are matched by name with the {} of {}",
                                own.size(), validation->path(), all.size(), owner));
}

int64_t DataSets::classes(int64_t configured) const {
  const int64_t classes = configured > 0 ? configured : reference().classes();
  check_labels(reference(), classes);
  if (validation) check_labels(*validation, classes);
  return classes;
}

std::vector<double> class_weights(const DataSets& sets, const DataOptions& options,
                                  int64_t classes) {
  if (options.class_weights == ClassWeights::kNone) return {};
  const std::vector<int64_t> counts = sets.train->class_counts();
  const auto filled = std::ranges::count_if(counts, [](int64_t count) { return count > 0; });
  std::vector<double> weights(static_cast<size_t>(classes));
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) continue;
    weights[c] = static_cast<double>(sets.train->count()) / static_cast<double>(filled * counts[c]);
  }
  return weights;
}

void log_remarks(const DataSets& sets, int rank) {
  if (rank != 0) return;
  for (const std::string& text : sets.remarks) spdlog::warn("{}", text);
}

DataRecord describe(const DataSets& sets, const DataOptions& options, int64_t classes) {
  DataRecord record;
  if (sets.train) record.train = describe(*sets.train);
  if (sets.validation) record.validation = describe(*sets.validation);
  record.class_names = valid_utf8(sets.reference().class_names());
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
  recipe.augment = data.augment;
  recipe.interpolation = data.interpolation;
  for (size_t c = 0; c < mean.size(); ++c) recipe.fill[c] = 255 * mean[c];
  return Recipe(recipe);
}

std::unique_ptr<DataLoader> make_loader(const Container& container, const RunConfig& config,
                                        const BatchOptions& batch, int rank, int world_size,
                                        bool training, HostAllocator allocate, HostShare host,
                                        LoaderObserver observer) {
  LoaderOptions options;
  options.rank = rank;
  options.world_size = world_size;
  options.host = host;
  options.per_rank = batch.per_rank;
  options.accumulation = training ? batch.accumulation : 1;
  options.threads = config.data.threads;
  options.prefetch = config.data.prefetch;
  options.seed = config.run.seed;
  options.training = training;
  options.shuffle = config.data.shuffle;
  options.repeats = config.data.repeats;
  for (size_t i = 0; i < config.data.early_sizes.size(); ++i) {
    options.early_sizes.push_back({static_cast<int64_t>(config.data.early_size_epochs[i]),
                                   static_cast<int64_t>(config.data.early_sizes[i])});
  }
  options.allocate = std::move(allocate);
  options.observer = std::move(observer);
  const Recipe recipe = make_recipe(config.data, training, container.mean());
  return std::make_unique<DataLoader>(container, recipe, options);
}

}  // namespace resnext
