// Reads a run configuration from YAML and dotted overrides, and writes it back.
//
// The table of keys in run_keys.cpp is the only place that knows a key's spelling, type, range and
// one-line documentation. All functions are local: every rank calls them by itself.
// Throws ConfigError with file:line:column (or the override's text), what is wrong and what to do.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "configs/run_config.h"

namespace resnext {

// Defaults, then the file, then the overrides ("optimizer.base_lr=0.2"), in this order; each key is
// checked for its type and range as it is read, and the whole for consistency at the end. Unknown
// keys, duplicate keys, NaN and infinite numbers are errors; an unknown key names the nearest one.
// Override values are YAML too: lists as "schedule.milestones=[30, 60]", empty text as
// 'data.validation=""'. Of two overrides of one key the later one counts. Of batch.per_rank and
// batch.global the file may set one, and so may the overrides, which win; the other one is then 0.
// An empty run.name becomes the file's name.
RunConfig read_run_config(const std::string& file, const std::vector<std::string>& overrides);

// The keys that the file or the overrides set, sorted. Throws as read_run_config().
std::vector<std::string> named_keys(const std::string& file,
                                    const std::vector<std::string>& overrides);

// The fully resolved configuration as YAML, a comment of documentation above each key. Reading it
// back gives an equal RunConfig, but for a batch that resolve_batch() has resolved: of that, only
// the global size is written, so that the file holds for other world sizes too.
std::string to_yaml(const RunConfig& config);

// Global batch = per_rank * world_size * accumulation. Resolves `global` and `per_rank` for this
// world size; throws ConfigError, naming batches and world sizes that fit, when the global batch
// cannot be split evenly. Where both are set, `global` counts.
BatchOptions resolve_batch(const BatchOptions& batch, int world_size);

}  // namespace resnext
