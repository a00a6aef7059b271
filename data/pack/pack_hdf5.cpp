// Another program's HDF5 file to a container.
// SPDX-License-Identifier: BSD-3-Clause
#include <utility>

#include "comm/common/error.h"
#include "data/container/file.h"
#include "data/image/stored_image.h"
#include "data/pack/packer.h"
#include "data/pack/parallel_pack.h"

namespace resnext {
namespace {

ClassNames names_of(const Container& container) {
  ClassNames names = container.class_names();
  for (int64_t i = 0; names.size() < static_cast<size_t>(container.classes()); ++i) {
    names.push_back(std::to_string(i));
  }
  return names;
}

ContainerDescription describe(const Container& container) {
  ContainerDescription description;
  description.storage = container.storage();
  description.height = container.height();
  description.width = container.width();
  description.class_names = names_of(container);
  description.mean = container.mean();
  description.std = container.std();
  description.order = container.order().empty() ? "as in the source" : container.order();
  return description;
}

}  // namespace

void pack_hdf5(const ContainerSource& source, const std::string& out, const PackObserver& observer,
               const PackingOptions& packing) {
  const Container container(source);
  for (const std::string& remark : container.remarks()) observer.warning(remark);
  const bool encoded = container.storage() == Storage::kJpeg;
  PackInputs inputs;
  inputs.source = source.address;
  inputs.noun = "samples";
  inputs.count = container.count();
  inputs.name_of = [&](int64_t i) { return container.name_of(i); };
  inputs.label_of = [&](int64_t i) { return container.label(i); };
  inputs.sample_of = [&](int64_t i) {
    std::vector<uint8_t> bytes;
    container.read_sample(i, bytes);
    if (encoded) return stored_image(std::move(bytes), packing.croppable);
    return bytes;
  };
  const std::string version = file_version(container.path());
  inputs.check_source = [&] {
    if (file_version(container.path()) == version) return;
    throw DataError(container.path(), "has changed while it was packed",
                    "pack it again once nothing writes to it");
  };
  inputs.identity = {{"source", source.address},
                     {"version", version},
                     {"images", source.images},
                     {"labels", source.labels},
                     {"classes", source.classes}};
  pack_inputs(inputs, describe(container), packing, out, observer);
}

}  // namespace resnext
