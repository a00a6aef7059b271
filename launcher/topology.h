// Cores of a host and what is near them, by hwloc.
//
// Local. Owns one hwloc topology. Throws Error (70) when hwloc cannot say.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

struct hwloc_topology;

namespace resnext {

class Topology {
 public:
  // This host's.
  Topology();
  // The one that hwloc has written (lstopo --of xml): for tests.
  explicit Topology(const std::string& xml);

  // Of each core that this thread may use, the logical CPUs that it may use of it; in hwloc's
  // order, in which neighbours share caches and memory.
  std::vector<std::vector<int>> cores() const;
  // Logical CPUs near the device at a PCI address (0000:3b:00.0); empty: not known, or all alike.
  std::vector<int> near(const std::string& pci_address) const;

 private:
  std::shared_ptr<hwloc_topology> topology_;
};

}  // namespace resnext
