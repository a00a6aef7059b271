// Another program's HDF5 file to a container.
// SPDX-License-Identifier: BSD-3-Clause
#include "comm/common/error.h"
#include "data/file.h"
#include "data/packer.h"
#include "data/resumable_pack.h"

namespace resnext {
namespace {

ClassNames names_of(const Container& container) {
  ClassNames names = container.class_names();
  for (int64_t i = 0; names.size() < static_cast<size_t>(container.classes()); ++i) {
    names.push_back(std::to_string(i));
  }
  return names;
}

PackIdentity identity_of(const ContainerSource& source, const Container& container,
                         const PackingOptions& packing) {
  return {{"source", source.address},  {"version", file_version(container.path())},
          {"images", source.images},   {"labels", source.labels},
          {"classes", source.classes}, {"order", describe_order(packing, "as in the source")}};
}

}  // namespace

void pack_hdf5(const ContainerSource& source, const std::string& out, const PackObserver& observer,
               const PackingOptions& packing) {
  const Container container(source);
  for (const std::string& remark : container.remarks()) observer.warning(remark);
  ContainerDescription description;
  description.storage = container.storage();
  description.height = container.height();
  description.width = container.width();
  description.class_names = names_of(container);
  description.mean = container.mean();
  description.std = container.std();
  description.order =
      describe_order(packing, container.order().empty() ? "as in the source" : container.order());
  const std::vector<int64_t> order = packing_order(packing, container.count());
  const auto place = [&](int64_t i) { return order[static_cast<size_t>(i)]; };
  ResumablePack pack(
      out, identity_of(source, container, packing),
      [&](int64_t i) { return container.label(place(i)); }, packing, observer);
  std::vector<uint8_t> bytes;
  try {
    for (int64_t i = pack.done(); i < container.count(); ++i) {
      container.read_sample(place(i), bytes);
      pack.add(bytes);
      observer.progress(i + 1, container.count());
    }
    pack.finish(description);
  } catch (const DataError&) {
    pack.discard();
    throw;
  }
}

}  // namespace resnext
