// What a Trainer trains: everything that knows tensors, behind a few questions.
//
// One thread calls. COLLECTIVE where said so; all else is local.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "worker/record/accuracy.h"
#include "worker/record/observation.h"
#include "worker/state/checkpoint_folder.h"
#include "worker/step/step_report.h"

namespace resnext {

// One update, as the trainer asks for it.
struct StepRequest {
  int64_t step = 0;   // its number, from 1
  Position position;  // where its global batch begins
  double lr = 0;
  bool stop = false;      // this rank was asked to stop
  bool observed = false;  // gradient_norms() will be asked for
};

class Learner {
 public:
  virtual ~Learner() = default;

  // The next update takes the images from `position` on. Before the first step().
  virtual void start(const Position& position) = 0;
  // COLLECTIVE. One update over the next global batch.
  virtual void step(const StepRequest& request) = 0;
  // The reports that are due, oldest first; the same on all ranks. `all`: also those of steps that
  // a GPU still works on.
  virtual std::vector<StepReport> reports(bool all) = 0;
  // COLLECTIVE. None when any rank's `stop` said true meanwhile.
  virtual std::optional<Validation> validate(const std::function<bool()>& stop) = 0;

  // Fills in what it knows of a place: bucket order, loss scale.
  virtual void describe(Progress& progress) const = 0;
  // Reserves the memory that copy() needs. Touching it takes its time: that is the job that comes
  // back, for another thread, to be done before the first copy().
  virtual std::function<void()> make_room_to_copy() = 0;
  // A copy of all that a save holds, to be written by another thread until the next copy. Writing
  // throws DivergedError when it is not finite.
  virtual std::vector<SavedFile> copy() = 0;
  // Of the images that this rank has taken since start() (data/sampler.h).
  virtual uint64_t tally() const = 0;
  // Checksum of weights, statistics, their average and the optimizer's state: equal on all ranks.
  virtual uint64_t checksum() const = 0;

  // On rank 0, of the last step that was observed: by stage of the network, a norm a parameter.
  virtual std::vector<NamedValues> gradient_norms() const { return {}; }
  // On rank 0, once: training images of this start as the network sees them.
  virtual Picture take_picture() { return {}; }

 protected:
  Learner() = default;
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;
};

}  // namespace resnext
