// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/evaluation.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "comm/common/file_system.h"
#include "worker/evaluator.h"
#include "worker/inference/class_counts.h"
#include "worker/record/writing.h"
#include "worker/state/agreement.h"
#include "worker/stop_signal.h"

namespace resnext {
namespace {

std::string to_line(const Accuracy& a, bool json) {
  if (!json) {
    return fmt::format("top-1 {:.3f} %  top-5 {:.3f} %  loss {:.5f}  images {}\n", a.top1, a.top5,
                       a.loss, a.images);
  }
  const nlohmann::ordered_json object = {
      {"top1", a.top1}, {"top5", a.top5}, {"loss", a.loss}, {"images", a.images}};
  return object.dump() + "\n";
}

void write(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  writing(path, [&] { posix_files().replace(path, text); });
}

}  // namespace

std::optional<std::string> evaluate_saved(const CommandLine& line, SavedNetwork& network,
                                          const DataSets& sets, Communicator& communicator) {
  const bool counts_classes = !line.per_class.empty() || !line.confusion.empty();
  std::optional<ClassCounts> counts;
  LookAtBatch look;
  if (counts_classes) {
    counts.emplace(network.config.model.classes, network.device);
    look = [&](const at::Tensor& labels, const at::Tensor& best) { counts->add(labels, best); };
  }
  const auto input = validation_input(network, sets, communicator);
  const auto accuracy = evaluate(network.model, network.precision, *input, communicator,
                                 network.device, stop_signalled, look);
  if (!accuracy) return std::nullopt;
  if (counts) counts->sum(communicator);
  on_rank_0(communicator, [&] {
    if (!counts) return;
    write(line.per_class, counts->per_class(network.data.class_names));
    write(line.confusion, counts->confusion(network.data.class_names));
  });
  return to_line(*accuracy, line.json);
}

}  // namespace resnext
