// Another program's HDF5 file to a container.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container_writer.h"
#include "data/packer.h"

namespace resnext {
namespace {

ClassNames names_of(const Container& container) {
  ClassNames names = container.class_names();
  for (int64_t i = 0; names.size() < static_cast<size_t>(container.classes()); ++i) {
    names.push_back(std::to_string(i));
  }
  return names;
}

}  // namespace

void pack_hdf5(const ContainerSource& source, const std::string& out,
               const PackObserver& observer) {
  const Container container(source);
  for (const std::string& remark : container.remarks()) observer.warning(remark);
  ContainerDescription description;
  description.storage = container.storage();
  description.height = container.height();
  description.width = container.width();
  description.class_names = names_of(container);
  description.mean = container.mean();
  description.std = container.std();
  ContainerWriter writer(out);
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < container.count(); ++i) {
    container.read_sample(i, bytes);
    writer.append(bytes, container.label(i));
    observer.progress(i + 1, container.count());
  }
  writer.finish(description);
}

}  // namespace resnext
