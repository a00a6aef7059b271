// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/classification.h"

#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"
#include "comm/watch/watch.h"
#include "data/augment/recipe.h"
#include "data/container/file.h"
#include "data/container/image_listing.h"
#include "data/image/image_decoder.h"
#include "worker/evaluator.h"
#include "worker/inference/class_counts.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

void add_folder(const fs::path& folder, std::vector<std::string>& files,
                std::vector<std::string>& remarks) {
  ImageListing found = list_images(folder);
  if (found.files.empty())
    throw ConfigError("--classify", folder.string() + " holds no image", "name one");
  std::ranges::move(found.remarks, std::back_inserter(remarks));
  for (auto& [path, label] : found.files) files.push_back(std::move(path));
}

// One rank's images, one batch after another, as rows of `table`: damaged, then classes, then
// probabilities.
class Classifier {
 public:
  Classifier(const SavedNetwork& network, at::Tensor table)
      : network_(network),
        table_(std::move(table)),
        best_((table_.size(1) - 1) / 2),
        recipe_(make_recipe(network.config.data, /*training=*/false)),
        normalise_(network.data.mean, network.data.std, network.device,
                   network.precision.compute_type(), network.precision.channels_last()) {}

  // files[first] to files[last - 1].
  void run(const std::vector<std::string>& files, int64_t first, int64_t last) {
    const int64_t count = last - first, size = recipe_.options().size;
    const int64_t bytes = count * recipe_.square_bytes();
    std::vector<uint8_t> pixels(static_cast<size_t>(recipe_.options().crops * bytes));
    for (int64_t i = 0; i < count; ++i) {
      read(files[static_cast<size_t>(first + i)], first + i,
           pixels.data() + i * recipe_.square_bytes(), bytes);
      watch::beat();
    }
    Input input;
    input.count = count;
    const int64_t squares = recipe_.options().crops * count;
    input.images = normalise_.make_images(squares, size);
    normalise_(view_of_pixels(pixels.data(), squares, size, recipe_.element()).to(network_.device),
               input.images);
    const at::Tensor logits = mean_over_crops(
        input, network_.precision,
        [&](const at::Tensor& images) { return network_.model.forward(images, Mode::kEvaluate); });
    const auto [values, classes] = at::topk(at::softmax(logits, 1, at::kDouble), best_, 1);
    at::Tensor rows = table_.narrow(0, first, count);
    rows.narrow(1, 1, best_).copy_(classes);
    rows.narrow(1, 1 + best_, best_).copy_(values);
    watch::beat();
  }

 private:
  void read(const std::string& file, int64_t row, uint8_t* out, int64_t stride) {
    try {
      read_file(file, bytes_);
      recipe_.apply({Storage::kJpeg, bytes_, 0, 0}, {}, scratch_, out, stride);
    } catch (const DamagedImage& error) {
      refuse(file, row, error.what());
    } catch (const DataError& error) {
      refuse(file, row, error.what());
    }
  }

  void refuse(const std::string& file, int64_t row, const std::string& why) {
    spdlog::error("{}: {}", file, why);
    table_.narrow(0, row, 1).select(1, 0).fill_(1);
  }

  const SavedNetwork& network_;
  at::Tensor table_;
  int64_t best_;
  Recipe recipe_;
  RecipeScratch scratch_;
  std::vector<uint8_t> bytes_;
  PixelNormaliser normalise_;
};

}  // namespace

std::vector<std::string> image_files(const std::vector<std::string>& arguments, int rank) {
  std::vector<std::string> files, remarks;
  for (const std::string& argument : arguments) {
    if (fs::is_directory(argument)) {
      add_folder(argument, files, remarks);
    } else if (fs::exists(argument)) {
      files.push_back(argument);
    } else {
      throw ConfigError("--classify", "there is no " + argument, "name images or folders of them");
    }
  }
  for (const std::string& remark : remarks) {
    if (rank == 0) spdlog::warn("{}", remark);
  }
  return files;
}

std::vector<Classified> classify(const SavedNetwork& network, const std::vector<std::string>& files,
                                 Communicator& communicator) {
  const int64_t best = std::min<int64_t>(5, network.config.model.classes);
  const auto count = static_cast<int64_t>(files.size());
  const at::Tensor table = at::zeros({count, 1 + 2 * best}, at::kDouble);
  Classifier classifier(network, table);
  const int64_t ranks = communicator.size(), rank = communicator.rank();
  const int64_t begin = count * rank / ranks, end = count * (rank + 1) / ranks;
  const int64_t batch = std::max<int64_t>(1, network.config.batch.per_rank);
  for (int64_t first = begin; first < end; first += batch) {
    classifier.run(files, first, std::min(end, first + batch));
  }
  communicator.all_reduce(as_buffer(table), ReduceOp::kSum);
  std::vector<Classified> found(files.size());
  for (int64_t i = 0; i < count; ++i) {
    const double* row = table.const_data_ptr<double>() + i * table.size(1);
    Classified& one = found[static_cast<size_t>(i)];
    one.damaged = row[0] != 0;
    for (int64_t k = 0; k < best; ++k) {
      one.classes.push_back(static_cast<int64_t>(row[1 + k]));
      one.probabilities.push_back(row[1 + best + k]);
    }
  }
  return found;
}

std::string to_line(const std::string& file, const Classified& found,
                    const std::vector<std::string>& class_names, bool json) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  std::string text;
  for (size_t k = 0; k < found.classes.size() && !found.damaged; ++k) {
    const std::string name = class_name(class_names, found.classes[k]);
    const double p = found.probabilities[k];
    text += fmt::format("{} {} {:.3f}", k == 0 ? "" : ",", name, p);
    classes.push_back({{"class", found.classes[k]}, {"name", name}, {"probability", p}});
  }
  if (!json) return fmt::format("{}:{}\n", file, found.damaged ? " damaged" : text);
  const nlohmann::ordered_json line = {
      {"file", file}, {"damaged", found.damaged}, {"classes", classes}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace resnext
