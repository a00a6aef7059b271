// A copy of tensors in host memory that is used again for the next one.
//
// Training goes on while another thread writes the copy. Local; the copy's values change with the
// next take().
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "model/weights/state_dict.h"

namespace resnext {

class HostCopy {
 public:
  // Reserves memory for such a state; take() does it where nobody has.
  void make_room(const StateDict& state);
  // Gives every page of it its place, so that take() need not. Destroys the values.
  void touch();
  // Copies all values; waits for the device. The handles stay valid, and the same while names and
  // shapes do.
  const StateDict& take(const StateDict& state);

 private:
  StateDict copy_;
};

// Every floating-point value is a number.
bool all_finite(const StateDict& state);

// The memory that views lie in, each piece once, as one-dimensional tensors.
std::vector<at::Tensor> whole_storages(const std::vector<at::Tensor>& views);

// Checksum of all bytes, in order. Tensors may be on any device.
uint64_t checksum_of(const std::vector<at::Tensor>& tensors);

}  // namespace resnext
