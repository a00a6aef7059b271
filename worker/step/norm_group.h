// The ranks that share BN's statistics (model.norm), over a communicator of their own.
//
// Of its own, as backward asks for sums while gradients travel on the run's: their order need not
// be agreed on.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "model/model_options.h"
#include "model/norm/norm_ranks.h"

namespace resnext {

class NormGroup final : public NormRanks {
 public:
  explicit NormGroup(std::unique_ptr<Communicator> communicator)
      : communicator_(std::move(communicator)) {}

  int size() const override { return communicator_->size(); }
  at::Tensor gather(const at::Tensor& mine) override;
  void sum(const at::Tensor& mine) override;

  // COLLECTIVE, at a normal end (Communicator::close()).
  void close() { communicator_->close(); }

 private:
  const std::unique_ptr<Communicator> communicator_;
};

// Ranks of a group in a world of `world_size`; 1: each normalises alone. Throws ConfigError when
// groups of model.norm_group ranks do not divide the world.
int norm_ranks(const ModelOptions& options, int world_size);

// COLLECTIVE. This rank's group, which must end before `communicator`; null where it is alone.
std::unique_ptr<NormGroup> make_norm_group(const ModelOptions& options, Communicator& communicator);

}  // namespace resnext
