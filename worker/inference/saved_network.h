// A trained network as it was saved, ready to be used without training.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "model/network/resnext.h"
#include "worker/command_line.h"
#include "worker/input/batch_input.h"
#include "worker/input/data_sets.h"
#include "worker/network_learner.h"
#include "worker/state/start_point.h"
#include "worker/step/precision.h"

namespace resnext {

struct SavedNetwork {
  RunConfig config;  // as the checkpoint was trained, but for what the user names
  DataRecord data;   // its mean, standard deviation and classes; else those of the data or defaults
  at::Device device;
  Precision precision;
  ResNeXt model;  // on the device, equal on all ranks
};

// COLLECTIVE. The run folder's checkpoint, looked for by rank 0; not resumed when the weights are
// those of model.pretrained, because `line` names it or because there is no checkpoint; `data` also
// where that is a file of a checkpoint. Throws ConfigError when there is neither, CheckpointError;
// on all ranks.
StartPoint find_weights(const CommandLine& line, const RunConfig& config,
                        Communicator& communicator);

// What the checkpoint was trained with counts, but for what the user names: recipe, sizes, classes.
// Local.
void follow_checkpoint(const CommandLine& line, const DataRecord& data, RunConfig& config);

// Which of a checkpoint's weights are wanted.
SavedWeights chosen_weights(const RunConfig& config);

// COLLECTIVE. With the weights that find_weights() finds. `sets`: what it will be used on,
// whose labels become those of the network, or null. Throws
// ConfigError, CheckpointError, DataError (other classes than it was trained with), on all ranks.
SavedNetwork load_network(const CommandLine& line, RunConfig config, DataSets* sets,
                          Communicator& communicator, at::Device device);

// The validation split's batches for this rank, as the network wants them. Local.
std::unique_ptr<BatchInput> validation_input(const SavedNetwork& network, const DataSets& sets,
                                             const Communicator& communicator);

// COLLECTIVE. Ranks with different programs, configurations or data would train different networks:
// throws ConfigError or DataError naming what differs, and where.
void check_ranks_agree(const RunConfig& config, const DataRecord& data, Communicator& communicator);

}  // namespace resnext
