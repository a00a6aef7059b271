// SPDX-License-Identifier: BSD-3-Clause
#include "data/container/image_listing.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_set>

#include "comm/common/error.h"
#include "data/container/file.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImageNames = ".jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff";

bool has_image_name(const fs::path& path) {
  std::string extension = path.extension();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kExtensions[] = {".jpg", ".jpeg", ".png", ".webp",
                                              ".bmp", ".tif",  ".tiff"};
  return std::ranges::find(kExtensions, extension) != std::end(kExtensions);
}

bool is_hidden(const fs::path& path) {
  return path.filename().native().starts_with('.');
}

// Entries of one kind.
struct Counted {
  int64_t count = 0;
  std::string first;

  void add(const fs::path& path) {
    if (++count == 1) first = path.string();
  }
};

// What is no image, or not where one would look for it.
struct Others {
  Counted hidden;
  Counted other;     // files of another name
  Counted loose;     // files beside the class folders
  Counted unlisted;  // images that the list of labels does not name
  Counted nested;    // images in folders within a class folder

  std::vector<std::string> in_words() const {
    std::vector<std::string> words;
    const auto add = [&](const Counted& kind, const std::string& what) {
      if (kind.count == 0) return;
      words.push_back(std::to_string(kind.count) + what + " (such as " + kind.first + ")");
    };
    add(hidden, " hidden files or folders have names that begin with a dot and are left out");
    add(other, std::string(" files are not named ") + kImageNames + " and are left out");
    add(loose, " files lie beside the class folders and are left out");
    add(unlisted, " images are not in the list of labels and are left out");
    add(nested, " images lie in folders within a class folder and count to its class");
    return words;
  }
};

// Following such a link would never end.
void check_leads_below(const fs::directory_entry& entry) {
  if (!entry.is_symlink()) return;
  const fs::path target = fs::canonical(entry.path());
  const fs::path holder = fs::canonical(entry.path().parent_path());
  if (std::ranges::mismatch(target, holder).in1 != target.end()) return;
  throw DataError(entry.path().string(), "is a link to a folder that holds it", "remove the link");
}

// Paths of the images in a folder and below it, in order.
std::vector<std::string> images_below(const fs::path& folder, Others& others) {
  std::vector<std::string> paths;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (auto at = fs::recursive_directory_iterator(folder, options); at != fs::end(at); ++at) {
    if (is_hidden(at->path())) {
      others.hidden.add(at->path());
      at.disable_recursion_pending();
    } else if (at->is_directory()) {
      check_leads_below(*at);
    } else if (has_image_name(at->path())) {
      paths.push_back(at->path());
      if (at.depth() > 0) others.nested.add(at->path());
    } else {
      others.other.add(at->path());
    }
  }
  std::ranges::sort(paths);
  return paths;
}

// The class folders by name.
std::map<std::string, fs::path> class_folders(const fs::path& folder, Others& others) {
  std::map<std::string, fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_hidden(entry.path())) {
      others.hidden.add(entry.path());
    } else if (entry.is_directory()) {
      folders.emplace(entry.path().filename(), entry.path());
    } else if (!entry.exists()) {  // a class would be lost
      throw DataError(entry.path().string(), "is a link that leads nowhere",
                      "bring what it leads to to its place, or remove the link");
    } else {
      others.loose.add(entry.path());
    }
  }
  if (folders.empty()) {
    throw DataError(folder.string(), "has no class folders",
                    "name the folder that holds one for each class; for one folder with a list of "
                    "labels give --labels LIST");
  }
  return folders;
}

template <typename F>
auto reading(const std::string& folder, const F& f) try {
  return f();
} catch (const fs::filesystem_error& error) {
  throw DataError(error.path1().empty() ? folder : error.path1().string(),
                  std::string("cannot be listed: ") + error.code().message(),
                  "check the path and its permissions");
}

template <typename List>
ImageListing listed(const std::string& folder, const List& list) {
  ImageListing listing = reading(folder, list);
  if (listing.files.empty()) {
    throw DataError(folder, std::string("has no ") + kImageNames + " file in it",
                    "check the path and the names of the files");
  }
  return listing;
}

// One line of a list of labels.
struct LabelledFile {
  std::string file;
  std::string label;
};

LabelledFile parse_line(const std::string& line, const std::string& where) {
  const auto refuse = [&](const std::string& what, const std::string& remedy) {
    throw DataError(where, "'" + line + "' " + what, remedy);
  };
  for (const char separator : {'\t', ',', ' '}) {
    const size_t at = line.find(separator);
    if (at == std::string::npos) continue;
    const size_t next = line.find_first_not_of(" \t", at + 1);
    if (at == 0 || next == std::string::npos) break;
    const std::string name = line.substr(0, at), label = line.substr(next);
    if (name.front() == '"' || label.front() == '"') {
      refuse("has quotation marks", "write file name and class without them, with a tab between");
    }
    if (separator != ' ' && label.find(separator) != std::string::npos) {
      refuse("has more than a file name and a class",
             "leave the others out; where a class has a comma in it write a tab before it");
    }
    return {fs::path(name).lexically_normal(), label};
  }
  refuse("is no file name and class",
         "write on each line a file name, a space or tab, and the name or index of its class");
  return {};
}

std::vector<LabelledFile> read_label_list(const std::string& path) {
  std::vector<LabelledFile> files;
  std::unordered_set<std::string> seen;
  for (const std::string& line : read_lines(path)) {
    files.push_back(parse_line(line, path));
    if (!seen.insert(files.back().file).second) {
      throw DataError(path, "'" + files.back().file + "' stands there twice",
                      "give each file one line");
    }
  }
  if (files.empty()) throw DataError(path, "names no image", "write a line for each image");
  return files;
}

ClassNames names_in(const std::vector<LabelledFile>& files) {
  std::set<std::string> used;
  for (const LabelledFile& each : files) used.insert(each.label);
  return {used.begin(), used.end()};
}

// The names in order; numbers by their value, so that 10 is not before 2.
ClassNames classes_of(ClassNames used) {
  if (are_numbers(used)) sort_by_number(used);
  return used;
}

// Folders are in order of name, as torchvision's ImageFolder has them.
void remark_on_order(const ClassNames& names, std::vector<std::string>& remarks) {
  if (!are_numbers(names)) return;
  ClassNames sorted = names;
  sort_by_number(sorted);
  if (sorted == names) return;
  const auto place = std::ranges::mismatch(names, sorted).in1 - names.begin();
  remarks.push_back("classes have numbers for names, in order of name: label " +
                    std::to_string(place) + " is class " + names[static_cast<size_t>(place)] +
                    "; --classes gives another order");
}

// Labels of the list's classes: all are names, or else all are places. Of both, one meaning would
// be wrong.
std::vector<int64_t> labels_of(const ClassNames& used, const ClassNames& classes,
                               const std::string& where) {
  std::vector<int64_t> labels = places_of(used, classes);
  const auto unknown = std::ranges::count(labels, -1);
  if (unknown == 0) return labels;
  const bool some_are_names = unknown < static_cast<int64_t>(labels.size());
  for (size_t i = 0; i < used.size(); ++i) {
    if (labels[i] >= 0) continue;
    const auto index = number_of(used[i]);
    if (some_are_names || !index) {
      throw DataError(where, "'" + used[i] + "' is not among the classes: " + name_some(classes),
                      some_are_names && index
                          ? "other labels of the list are names of classes: use names or indices"
                          : "give --classes the list that holds it");
    }
    labels[i] = *index;
    if (*index >= 0 && *index < static_cast<int64_t>(classes.size())) continue;
    throw DataError(where,
                    "index " + used[i] + " is not in 0.." + std::to_string(classes.size() - 1),
                    "count classes from 0, in the order of --classes");
  }
  return labels;
}

}  // namespace

ImageListing list_class_folders(const std::string& folder, const ClassNames& classes) {
  return listed(folder, [&] {
    ImageListing listing;
    Others others;
    const auto folders = class_folders(folder, others);
    ClassNames names;
    for (const auto& [name, path] : folders) names.push_back(name);
    listing.class_names = classes.empty() ? names : classes;
    const ClassNames unknown = missing_from(listing.class_names, names);
    if (!unknown.empty()) {
      throw DataError(folder, "has folders that are not among the classes: " + name_some(unknown),
                      "give --classes the list that holds them (this one has " +
                          name_some(listing.class_names) + "), or remove the folders");
    }
    for (size_t label = 0; label < listing.class_names.size(); ++label) {
      const auto found = folders.find(listing.class_names[label]);
      if (found == folders.end()) continue;
      for (std::string& path : images_below(found->second, others)) {
        listing.files.emplace_back(std::move(path), static_cast<int64_t>(label));
      }
    }
    listing.remarks = others.in_words();
    if (classes.empty()) remark_on_order(names, listing.remarks);
    return listing;
  });
}

ImageListing list_labelled_files(const std::string& folder, const std::string& labels,
                                 const ClassNames& classes) {
  return listed(folder, [&] {
    const std::vector<LabelledFile> files = read_label_list(labels);
    ImageListing listing;
    const ClassNames used = names_in(files);
    listing.class_names = classes.empty() ? classes_of(used) : classes;
    const std::vector<int64_t> label_of = labels_of(used, listing.class_names, labels);
    Others others;
    std::set<std::string> present;
    for (std::string& path : images_below(folder, others)) {
      present.insert(fs::path(path).lexically_relative(folder).string());
    }
    others.nested = {};
    for (const LabelledFile& each : files) {
      if (!present.contains(each.file)) {
        throw DataError(labels, "names '" + each.file + "', which is no image in " + folder,
                        "give the list of this folder, with the names of its files");
      }
      const auto place = std::ranges::lower_bound(used, each.label) - used.begin();
      listing.files.emplace_back(fs::path(folder) / each.file,
                                 label_of[static_cast<size_t>(place)]);
    }
    for (const LabelledFile& each : files) present.erase(each.file);
    for (const std::string& path : present) others.unlisted.add(path);
    listing.remarks = others.in_words();
    return listing;
  });
}

ImageListing list_images(const std::string& folder) {
  return reading(folder, [&] {
    ImageListing listing;
    Others others;
    for (std::string& path : images_below(folder, others)) {
      listing.files.emplace_back(std::move(path), 0);
    }
    others.nested = {};
    listing.remarks = others.in_words();
    return listing;
  });
}

}  // namespace resnext
