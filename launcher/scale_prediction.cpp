// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/scale_prediction.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <ranges>

#include "comm/common/buckets.h"
#include "comm/common/error.h"
#include "configs/yaml_reader.h"
#include "launcher/scale_table.h"
#include "launcher/text_file.h"
#include "model/network/cost_profile.h"

namespace resnext {
namespace {

constexpr int64_t kFloatBytes = 4;
constexpr double kMiB = 1024 * 1024;

int64_t element_bytes(Compute compute) {
  if (compute == Compute::kFp64) return 8;
  return compute == Compute::kBf16 || compute == Compute::kFp16 ? 2 : kFloatBytes;
}

int64_t gradient_bytes(Compute compute) {
  return compute == Compute::kFp64 ? 8 : kFloatBytes;
}

BucketLimits limits_of(const CommOptions& comm) {
  return {static_cast<int64_t>(comm.first_bucket_mib * kMiB),
          static_cast<int64_t>(comm.bucket_mib * kMiB),
          comm.compress == Compression::kBf16 ? 0.5 : 1.0};
}

// The only rank of a measurement.
ScalePoint read_measurement(const std::string& file) {
  try {
    const auto json = nlohmann::ordered_json::parse(read_file(file));
    for (const ScalePoint& point : to_scale_points(json.at("points"))) {
      if (point.ranks == 1) return point;
    }
  } catch (const nlohmann::json::exception&) {
    throw ConfigError("--from", file + " is no scale.json",
                      "name the file that resnext_launcher scale has written");
  }
  throw ConfigError("--from", file + " has no measurement of one rank",
                    "measure with --ranks 1,...");
}

// Backward goes through the layers in reverse; each one's gradients come when it is done.
void add_backward(const std::vector<LayerWork>& work, const MachineRates& rates, int64_t bytes,
                  ComputeProfile& profile) {
  for (const LayerWork& layer : work | std::views::reverse) {
    profile.backward_ms += 1000 * least_time(layer.backward, rates);
    for (const int64_t elements : layer.parameters | std::views::reverse) {
      profile.gradients.push_back({profile.backward_ms, padded_bytes(elements * bytes)});
    }
  }
}

// SGD with momentum reads weight, gradient and momentum and writes the first and the last.
double optimizer_ms(int64_t parameters, int64_t bytes, const MachineRates& rates) {
  return 1000 * 5 * static_cast<double>(parameters * bytes) / rates.bytes;
}

// Those of a measurement are of all `micro_batches` together.
void take_measured_times(const ScalePoint& measured, double micro_batches,
                         ComputeProfile& profile) {
  const double backward = measured.backward_ms / micro_batches;
  for (GradientTime& gradient : profile.gradients) {
    gradient.ready_ms *= backward / profile.backward_ms;
  }
  profile.wait_ms = measured.data_wait_ms;
  profile.forward_ms = measured.forward_ms / micro_batches;
  profile.backward_ms = backward;
  profile.optimizer_ms = measured.optimizer_ms;
}

}  // namespace

ComputeProfile profile_of(const RunConfig& config, int64_t per_rank,
                          const PredictionOptions& task) {
  const MachineRates rates{task.tflops * 1e12, task.memory_gb_per_s * 1e9};
  const int64_t bytes = gradient_bytes(config.precision.compute);
  const std::vector<LayerWork> work =
      layer_work(config.model, config.data.size, per_rank, element_bytes(config.precision.compute));
  ComputeProfile profile;
  int64_t parameters = 0;
  for (const LayerWork& layer : work) {
    profile.forward_ms += 1000 * least_time(layer.forward, rates);
    for (const int64_t elements : layer.parameters) {
      parameters += elements;
      // Mean and variance of each BN, of as many channels as its scale has.
      if (layer.kind == LayerKind::kBatchNorm) profile.statistics_bytes += elements * bytes;
    }
  }
  add_backward(work, rates, bytes, profile);
  profile.optimizer_ms = optimizer_ms(parameters, bytes, rates);
  const auto micro_batches = static_cast<double>(config.batch.accumulation);
  if (!task.from.empty()) {
    take_measured_times(read_measurement(task.from), micro_batches, profile);
  }
  // Nothing is sent before the last one.
  profile.forward_ms += (micro_batches - 1) * (profile.forward_ms + profile.backward_ms);
  profile.spread = task.spread_percent / 100;
  return profile;
}

std::vector<Prediction> predict(const RunConfig& config, const std::vector<int>& ranks,
                                const PredictionOptions& task) {
  const auto at = [&](int count) {
    const BatchOptions batch = resolve_batch(config.batch, count);
    const ComputeProfile profile = profile_of(config, batch.per_rank, task);
    Prediction made{count, 0, 100,
                    predict_step(profile, limits_of(config.comm), count, task.cluster)};
    made.images_per_second = 1000 * static_cast<double>(batch.global) / made.step.step_ms;
    return made;
  };
  const double alone = at(1).images_per_second;
  std::vector<Prediction> predictions;
  for (const int count : ranks) {
    predictions.push_back(at(count));
    Prediction& made = predictions.back();
    made.efficiency = 100 * made.images_per_second / count / alone;
  }
  return predictions;
}

std::vector<Row> to_rows(const std::vector<Prediction>& predictions) {
  std::vector<Row> rows = {{"ranks", "img/s", "efficiency %", "step ms", "compute ms",
                            "stragglers ms", "communication ms", "exposed comm ms"}};
  for (const Prediction& p : predictions) {
    rows.push_back(
        {std::to_string(p.ranks), fmt::format("{:.0f}", p.images_per_second),
         fmt::format("{:.1f}", p.efficiency), fmt::format("{:.2f}", p.step.step_ms),
         fmt::format("{:.2f}", p.step.compute_ms), fmt::format("{:.2f}", p.step.straggling_ms),
         fmt::format("{:.2f}", p.step.communication_ms), fmt::format("{:.2f}", p.step.exposed_ms)});
  }
  return rows;
}

nlohmann::ordered_json to_json(const std::vector<Prediction>& predictions) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Prediction& p : predictions) {
    json.push_back({{"ranks", p.ranks},
                    {"images_per_second", p.images_per_second},
                    {"efficiency_percent", p.efficiency},
                    {"step_ms", p.step.step_ms},
                    {"compute_ms", p.step.compute_ms},
                    {"straggling_ms", p.step.straggling_ms},
                    {"communication_ms", p.step.communication_ms},
                    {"exposed_comm_ms", p.step.exposed_ms}});
  }
  return json;
}

}  // namespace resnext
