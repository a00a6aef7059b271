// SPDX-License-Identifier: BSD-3-Clause
#include "data/image_listing.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_set>

#include "comm/common/error.h"
#include "data/file.h"

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

// What is no image.
struct Others {
  int64_t hidden = 0;
  int64_t other = 0;     // files of another name
  int64_t unlisted = 0;  // images that the list of labels does not name

  std::vector<std::string> in_words() const {
    std::vector<std::string> words;
    const auto add = [&](int64_t count, const std::string& what) {
      if (count > 0) words.push_back(std::to_string(count) + what + " and are left out");
    };
    add(hidden, " hidden files or folders have names that begin with a dot");
    add(other, std::string(" files are not named ") + kImageNames);
    add(unlisted, " images are not in the list of labels");
    return words;
  }
};

// Paths of the images in a folder and below it, in order.
std::vector<std::string> images_below(const fs::path& folder, Others& others) {
  std::vector<std::string> paths;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (auto at = fs::recursive_directory_iterator(folder, options); at != fs::end(at); ++at) {
    if (is_hidden(at->path())) {
      ++others.hidden;
      at.disable_recursion_pending();
    } else if (!at->is_directory()) {
      has_image_name(at->path()) ? paths.push_back(at->path()) : void(++others.other);
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
      ++others.hidden;
    } else if (entry.is_directory()) {
      folders.emplace(entry.path().filename(), entry.path());
    } else {
      ++others.other;
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
  throw DataError(folder, std::string("cannot be listed: ") + error.code().message(),
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
  for (const char separator : {'\t', ',', ' '}) {
    const size_t at = line.find(separator);
    if (at == std::string::npos) continue;
    const size_t next = line.find_first_not_of(" \t", at + 1);
    if (at == 0 || next == std::string::npos) break;
    return {line.substr(0, at), line.substr(next)};
  }
  throw DataError(where, "'" + line + "' is no file name and class",
                  "write on each line a file name, a space or tab, and the name or index of its "
                  "class");
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
  return files;
}

ClassNames names_in(const std::vector<LabelledFile>& files) {
  std::set<std::string> names;
  for (const LabelledFile& each : files) names.insert(each.label);
  return {names.begin(), names.end()};
}

std::optional<int64_t> index_in(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
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
    const auto index = index_in(used[i]);
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
                      "give --classes the list that holds them, or remove the folders");
    }
    for (size_t label = 0; label < listing.class_names.size(); ++label) {
      const auto found = folders.find(listing.class_names[label]);
      if (found == folders.end()) continue;
      for (std::string& path : images_below(found->second, others)) {
        listing.files.emplace_back(std::move(path), static_cast<int64_t>(label));
      }
    }
    listing.left_out = others.in_words();
    return listing;
  });
}

ImageListing list_labelled_files(const std::string& folder, const std::string& labels,
                                 const ClassNames& classes) {
  return listed(folder, [&] {
    const std::vector<LabelledFile> files = read_label_list(labels);
    ImageListing listing;
    const ClassNames used = names_in(files);
    listing.class_names = classes.empty() ? used : classes;
    const std::vector<int64_t> label_of = labels_of(used, listing.class_names, labels);
    Others others;
    std::unordered_set<std::string> present;
    for (std::string& path : images_below(folder, others)) {
      present.insert(fs::path(path).lexically_relative(folder).string());
    }
    for (const LabelledFile& each : files) {
      if (!present.contains(each.file)) {
        throw DataError(labels, "names '" + each.file + "', which is no image in " + folder,
                        "give the list of this folder, with the names of its files");
      }
      const auto place = std::ranges::lower_bound(used, each.label) - used.begin();
      listing.files.emplace_back(fs::path(folder) / each.file,
                                 label_of[static_cast<size_t>(place)]);
    }
    others.unlisted = static_cast<int64_t>(present.size() - files.size());
    listing.left_out = others.in_words();
    return listing;
  });
}

std::vector<std::string> list_images(const std::string& folder) {
  return reading(folder, [&] {
    Others others;
    return images_below(folder, others);
  });
}

}  // namespace resnext
