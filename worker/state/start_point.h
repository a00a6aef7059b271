// Where a start goes on from: rank 0 looks, decides and tells the others.
//
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "comm/communicator.h"
#include "configs/run_config.h"
#include "worker/state/local_snapshots.h"
#include "worker/state/run_store.h"

namespace resnext {

struct StartPoint {
  bool resumed = false;
  bool from_snapshot = false;       // of a host; the run folder has no such save
  Progress progress;                // of the save, or a new run's
  std::optional<DataRecord> data;   // of the save
  std::optional<SavedState> state;  // on rank 0, when it goes on: what to load
  std::optional<SavedState> saved;  // on rank 0: the run folder's save, without its files
};

// COLLECTIVE. The save that run.resume names, for training on `data`; `store` on rank 0, else null.
// With run.resume auto a newer snapshot of a host counts before it: `local` on one rank of each
// host, else null. `again` as in RunStore::find(). Throws, on all ranks: CheckpointError,
// ConfigError; DataError when the data have changed and run.accept_new_data is not set.
StartPoint agree_on_start(Communicator& communicator, RunStore* store, const LocalSnapshots* local,
                          const RunOptions& run, const DataRecord& data, bool again);

// COLLECTIVE. The same without a look at the data: for validation only.
StartPoint agree_on_weights(Communicator& communicator, RunStore* store, const RunOptions& run);

}  // namespace resnext
