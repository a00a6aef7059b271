// A folder of images to pack, for the tests of packers and of resnext_data.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "data/pack/packer.h"
#include "tests/data/support.h"

namespace resnext::testing {

inline Bytes text(const std::string& s) {
  return {s.begin(), s.end()};
}

inline bool has_restart_markers(const Bytes& jpeg) {
  const Bytes first = {0xff, 0xd0};  // T.81, table B.1
  return std::search(jpeg.begin(), jpeg.end(), first.begin(), first.end()) != jpeg.end();
}

class PackerTest : public ::testing::Test {
 protected:
  // Two classes: JPEG of several kinds, a PNG with the wrong name, and files that do not count.
  void make_image_folder(bool with_damage) {
    write_bytes(folder_ / "src/b_class/1.JPEG", read_bytes(golden_path("420.jpg")));
    write_bytes(folder_ / "src/b_class/2.jpg", read_bytes(golden_path("cmyk.jpg")));
    write_bytes(folder_ / "src/a_class/grey.jpeg", read_bytes(golden_path("grey.jpg")));
    write_bytes(folder_ / "src/a_class/png_inside.jpg", read_bytes(golden_path("rgb.png")));
    write_bytes(folder_ / "src/a_class/deeper/p.png", read_bytes(golden_path("palette.png")));
    write_bytes(folder_ / "src/a_class/notes.txt", text("no image"));
    if (!with_damage) return;
    Bytes cut = read_bytes(golden_path("444.jpg"));
    cut.resize(cut.size() / 2);
    write_bytes(folder_ / "src/a_class/cut.jpg", cut);
    write_bytes(folder_ / "src/b_class/gif.jpg", text("GIF89a...."));
  }

  ImageFolderSource source() const {
    ImageFolderSource s;
    s.folder = folder_ / "src";
    s.packing.threads = 3;
    s.packing.croppable = false;
    s.packing.order = PackOrder::kSource;
    return s;
  }

  // Names in the order of the container.
  const std::vector<std::pair<const char*, int>> kPacked = {
      {"palette.png", 0}, {"grey.jpg", 0}, {"rgb.png", 0}, {"420.jpg", 1}, {"cmyk.jpg", 1}};

  std::string out() const { return folder_ / "out.h5"; }

  TemporaryFolder folder_;
};

}  // namespace resnext::testing
