// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/topology.h"

#include <hwloc.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

using Bitmap = std::unique_ptr<hwloc_bitmap_s, void (*)(hwloc_bitmap_t)>;

Bitmap make_bitmap() {
  return {hwloc_bitmap_alloc(), hwloc_bitmap_free};
}

void check(int code, const char* call) {
  if (code == 0) return;
  throw Error(ExitCode::kInternal, call, "failed", "see what hwloc's lstopo says on this host");
}

std::shared_ptr<hwloc_topology> make_topology(const std::string& xml) {
  hwloc_topology_t made = nullptr;
  check(hwloc_topology_init(&made), "hwloc_topology_init");
  std::shared_ptr<hwloc_topology> topology(made, hwloc_topology_destroy);
  hwloc_topology_set_io_types_filter(made, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  if (!xml.empty()) {
    check(hwloc_topology_set_xmlbuffer(made, xml.c_str(), static_cast<int>(xml.size()) + 1),
          "hwloc_topology_set_xmlbuffer");
  }
  check(hwloc_topology_load(made), "hwloc_topology_load");
  return topology;
}

std::vector<int> indices(hwloc_const_bitmap_t set) {
  std::vector<int> list;
  for (int i = hwloc_bitmap_first(set); i >= 0; i = hwloc_bitmap_next(set, i)) list.push_back(i);
  return list;
}

}  // namespace

Topology::Topology() : topology_(make_topology("")) {}

Topology::Topology(const std::string& xml) : topology_(make_topology(xml)) {}

std::vector<std::vector<int>> Topology::cores() const {
  hwloc_topology_t t = topology_.get();
  const Bitmap mask = make_bitmap();
  if (hwloc_topology_is_thissystem(t) == 0 ||
      hwloc_get_cpubind(t, mask.get(), HWLOC_CPUBIND_THREAD) != 0) {
    hwloc_bitmap_copy(mask.get(), hwloc_topology_get_allowed_cpuset(t));
  }
  // A virtual machine may tell of no cores, only of what runs threads.
  const bool known = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE) > 0;
  const hwloc_obj_type_t type = known ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  std::vector<std::vector<int>> cores;
  for (hwloc_obj_t core = nullptr; (core = hwloc_get_next_obj_by_type(t, type, core)) != nullptr;) {
    const Bitmap usable = make_bitmap();
    hwloc_bitmap_and(usable.get(), core->cpuset, mask.get());
    if (hwloc_bitmap_iszero(usable.get()) == 0) cores.push_back(indices(usable.get()));
  }
  return cores;
}

std::vector<int> Topology::near(const std::string& pci_address) const {
  hwloc_topology_t t = topology_.get();
  const hwloc_obj_t device = hwloc_get_pcidev_by_busidstring(t, pci_address.c_str());
  if (device == nullptr) return {};
  const hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(t, device);
  if (place == nullptr || place == hwloc_get_root_obj(t)) return {};
  return indices(place->cpuset);
}

}  // namespace resnext
