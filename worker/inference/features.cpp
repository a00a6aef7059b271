// SPDX-License-Identifier: BSD-3-Clause
#include "worker/inference/features.h"

#include <ATen/ops/zeros.h>

#include <exception>
#include <optional>

#include "comm/common/error.h"
#include "comm/tensor_collectives.h"
#include "comm/watch/watch.h"
#include "configs/yaml_reader.h"
#include "worker/evaluator.h"
#include "worker/inference/feature_file.h"
#include "worker/state/agreement.h"
#include "worker/stop_signal.h"

namespace resnext {
namespace {

// One micro-batch of every rank, in host memory on all of them.
struct Gathered {
  at::Tensor features;  // float32 [ranks, per_rank, F]
  at::Tensor heads;  // int64 [ranks, 1 + per_rank]: number of images or why there are none, labels
};

constexpr int64_t kFailed = -1, kStopped = -2;

class FeatureRun {
 public:
  FeatureRun(SavedNetwork& network, const DataSets& sets, Communicator& communicator)
      : network_(network),
        communicator_(communicator),
        input_(validation_input(network, sets, communicator)),
        per_rank_(resolve_batch(network.config.batch, communicator.size()).per_rank) {
    input_->start({});
  }

  // COLLECTIVE. Throws, on all ranks, what a rank has failed with.
  Gathered next() {
    at::Tensor head = at::zeros({1 + per_rank_}, at::kLong);
    at::Tensor features;
    std::exception_ptr error;
    try {
      features = features_of(head);
    } catch (const Error&) {
      error = std::current_exception();
      head[0] = kFailed;
    }
    Gathered all = gather(features, head);
    if (all.heads.select(1, 0).eq(kFailed).any().item<bool>()) throw_together(communicator_, error);
    return all;
  }

 private:
  // This rank's, float32 [count, F]; fills its head.
  at::Tensor features_of(at::Tensor& head) {
    const Input batch = input_->next();
    if (stop_signalled()) head[0] = kStopped;
    if (batch.count == 0 || stop_signalled()) return {};
    const at::Tensor found = mean_over_crops(batch, network_.precision, [&](const at::Tensor& x) {
      return network_.model.features(x, Mode::kEvaluate);
    });
    head[0] = batch.count;
    head.narrow(0, 1, batch.count).copy_(batch.labels);
    return found.to(at::kCPU, at::kFloat);
  }

  Gathered gather(const at::Tensor& features, const at::Tensor& head) {
    const int64_t ranks = communicator_.size();
    at::Tensor width = at::zeros({1}, at::kLong);
    if (features.defined()) width[0] = features.size(1);
    communicator_.all_reduce(as_buffer(width), ReduceOp::kMax);
    const int64_t columns = width.item<int64_t>();
    const at::Tensor mine = at::zeros({per_rank_, columns}, at::kFloat);
    if (features.defined()) mine.narrow(0, 0, features.size(0)).copy_(features);
    Gathered all{at::zeros({ranks, per_rank_, columns}, at::kFloat),
                 at::zeros({ranks, 1 + per_rank_}, at::kLong)};
    communicator_.all_gather(as_buffer(head), as_buffer(all.heads));
    if (columns > 0) communicator_.all_gather(as_buffer(mine), as_buffer(all.features));
    watch::beat();
    return all;
  }

  SavedNetwork& network_;
  Communicator& communicator_;
  std::unique_ptr<BatchInput> input_;
  int64_t per_rank_;
};

void append(FeatureFile& file, const Gathered& all) {
  for (int64_t rank = 0; rank < all.heads.size(0); ++rank) {
    const at::Tensor head = all.heads[rank], rows = all.features[rank];
    const auto* numbers = head.const_data_ptr<int64_t>();
    if (numbers[0] > 0) file.append(rows.const_data_ptr<float>(), numbers + 1, numbers[0]);
  }
}

}  // namespace

bool write_features(SavedNetwork& network, const DataSets& sets, const std::string& path,
                    Communicator& communicator) {
  watch::enter(watch::Phase::kValidation);
  FeatureRun run(network, sets, communicator);
  std::optional<FeatureFile> file;
  const int64_t images = sets.validation->count();
  for (int64_t done = 0; done < images;) {
    const Gathered all = run.next();
    const at::Tensor counts = all.heads.select(1, 0);
    if (counts.eq(kStopped).any().item<bool>()) return false;
    on_rank_0(communicator, [&] {
      if (!file) file.emplace(path, images, all.features.size(2));
      append(*file, all);
    });
    done += counts.sum().item<int64_t>();
  }
  on_rank_0(communicator, [&] { file->finish(network.data.class_names); });
  return true;
}

}  // namespace resnext
