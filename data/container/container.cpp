// Files in a row as one container.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/container.h"

#include <algorithm>
#include <utility>

#include "comm/common/error.h"
#include "data/container/container_file.h"
#include "data/data_options.h"

namespace resnext {
namespace {

// What a later file must have in common with the first, in words; the same words: it has.
std::string shape_of(const ContainerFile& file) {
  if (file.storage == Storage::kJpeg) return "encoded images";
  return "raw images of " + std::to_string(file.format.height) + "x" +
         std::to_string(file.format.width);
}

void check_same_form(const ContainerFile& first, const ContainerFile& file) {
  if (shape_of(file) != shape_of(first)) {
    throw DataError(file.path, "has " + shape_of(file) + ", " + first.path + " " + shape_of(first),
                    "pack both alike");
  }
  if (file.mean != first.mean || file.std != first.std) {
    throw DataError(file.path, "has another mean or std than " + first.path,
                    "pack both with the same");
  }
}

// Gives the labels of `file` the classes of the first.
void match_classes(const ContainerFile& first, ContainerFile& file) {
  const ClassNames unknown = missing_from(first.class_names, file.class_names);
  if (!unknown.empty() || file.class_names.empty() != first.class_names.empty()) {
    throw DataError(
        file.path,
        "its classes are not those of " + first.path + ": only here: " + name_some(unknown) +
            "; only there: " + name_some(missing_from(file.class_names, first.class_names)),
        "pack it with those classes: resnext_data pack imagefolder|hdf5 ... --classes FILE.h5");
  }
  if (file.class_names.empty() || file.class_names == first.class_names) return;
  const std::vector<int64_t> places = places_of(file.class_names, first.class_names);
  for (int64_t& label : file.labels) label = places[static_cast<size_t>(label)];
}

}  // namespace

struct Container::Impl {
  std::vector<std::unique_ptr<const ContainerFile>> files;
  std::vector<int64_t> ends;  // of each file's samples
  std::string path;
  ClassNames class_names;
  int64_t classes = 0;
  std::vector<int64_t> labels;
  std::vector<std::string> remarks;

  Impl(const std::vector<ContainerSource>& sources, bool verify);
  explicit Impl(const SyntheticSet& set) { add(std::make_unique<ContainerFile>(set)); }

  void add(std::unique_ptr<ContainerFile> file);
  // Those of a list; those, with the place of each old class among them.
  void take_classes(const std::string& list);
  void take_classes(const ClassNames& names, const std::vector<int64_t>& places);
  const ContainerFile& first() const { return *files.front(); }
  int64_t count() const { return ends.back(); }
  // The file of a sample, and its place there. Throws DataError.
  std::pair<size_t, int64_t> find(int64_t index) const;
  int64_t begin_of(size_t file) const { return file == 0 ? 0 : ends[file - 1]; }
};

Container::Impl::Impl(const std::vector<ContainerSource>& sources, bool verify) {
  for (const ContainerSource& source : sources) {
    add(std::make_unique<ContainerFile>(source, verify));
  }
  if (files.empty()) throw DataError("container", "no file is named", "name a file");
  if (!sources.front().classes.empty()) take_classes(sources.front().classes);
}

void Container::Impl::take_classes(const std::string& list) {
  const ClassNames all = read_class_list(list);
  ClassNames own = class_names;
  if (own.empty())
    own.assign(all.begin(), all.begin() + std::min<ptrdiff_t>(classes, std::ssize(all)));
  const ClassNames unknown = missing_from(all, own);
  if (!unknown.empty() || classes > std::ssize(all)) {
    throw DataError(path,
                    "has " + std::to_string(classes) + " classes, " + list + " " +
                        std::to_string(all.size()) + "; only here: " + name_some(unknown),
                    "give --classes the list that holds them");
  }
  take_classes(all, places_of(own, all));
}

void Container::Impl::take_classes(const ClassNames& names, const std::vector<int64_t>& places) {
  for (int64_t& label : labels) label = places.at(static_cast<size_t>(label));
  class_names = names;
  classes = static_cast<int64_t>(names.size());
}

void Container::Impl::add(std::unique_ptr<ContainerFile> file) {
  if (files.empty()) {
    class_names = file->class_names;
  } else {
    check_same_form(first(), *file);
    match_classes(first(), *file);
  }
  classes = std::max(classes, file->classes);
  path += (files.empty() ? "" : ", ") + file->path;
  labels.insert(labels.end(), file->labels.begin(), file->labels.end());
  remarks.insert(remarks.end(), file->remarks.begin(), file->remarks.end());
  file->labels = {};
  ends.push_back(static_cast<int64_t>(labels.size()));
  files.push_back(std::move(file));
}

std::pair<size_t, int64_t> Container::Impl::find(int64_t index) const {
  if (index < 0 || index >= count()) {
    throw DataError(path, "has no sample " + std::to_string(index),
                    "ask for 0.." + std::to_string(count() - 1));
  }
  const auto file = static_cast<size_t>(std::ranges::upper_bound(ends, index) - ends.begin());
  return {file, index - begin_of(file)};
}

Container::Container(const std::vector<ContainerSource>& sources, bool verify_crc)
    : impl_(std::make_unique<Impl>(sources, verify_crc)) {}
Container::Container(const SyntheticSet& set) : impl_(std::make_unique<Impl>(set)) {}
Container::~Container() = default;
Container::Container(Container&&) noexcept = default;
Container& Container::operator=(Container&&) noexcept = default;

const std::string& Container::path() const {
  return impl_->path;
}
Storage Container::storage() const {
  return impl_->first().storage;
}
bool Container::synthetic() const {
  return impl_->path == kSynthetic;
}
int64_t Container::count() const {
  return impl_->count();
}
int64_t Container::classes() const {
  return impl_->classes;
}
const ClassNames& Container::class_names() const {
  return impl_->class_names;
}
int64_t Container::height() const {
  return static_cast<int64_t>(impl_->first().format.height);
}
int64_t Container::width() const {
  return static_cast<int64_t>(impl_->first().format.width);
}
std::vector<int64_t> Container::class_counts() const {
  std::vector<int64_t> counts(static_cast<size_t>(impl_->classes), 0);
  for (const int64_t label : impl_->labels) ++counts[static_cast<size_t>(label)];
  return counts;
}
void Container::adopt_classes(const ClassNames& names, const std::vector<int64_t>& places) {
  impl_->take_classes(names, places);
}
std::array<double, 3> Container::mean() const {
  return impl_->first().mean;
}
std::array<double, 3> Container::std() const {
  return impl_->first().std;
}
const std::string& Container::order() const {
  return impl_->first().order;
}
const std::vector<std::string>& Container::remarks() const {
  return impl_->remarks;
}
bool Container::direct() const {
  return std::ranges::all_of(impl_->files, [](const auto& file) { return file->direct; });
}

int64_t Container::label(int64_t index) const {
  return impl_->labels.at(static_cast<size_t>(index));
}

void Container::read_sample(int64_t index, std::vector<uint8_t>& bytes) const {
  const auto [file, place] = impl_->find(index);
  impl_->files[file]->read_sample(place, bytes);
}

std::string Container::name_of(int64_t index) const {
  const auto [file, place] = impl_->find(index);
  return impl_->files[file]->path + ", sample " + std::to_string(place);
}

std::vector<FilePiece> Container::pieces(int64_t first, int64_t last) const {
  std::vector<FilePiece> pieces;
  while (first < last) {
    const auto [file, place] = impl_->find(first);
    const int64_t end = std::min(last, impl_->ends[file]);
    const auto piece = impl_->files[file]->source->piece(place, place + end - first);
    if (piece) pieces.push_back(*piece);
    first = end;
  }
  return pieces;
}

}  // namespace resnext
