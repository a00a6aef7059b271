// HDF5 as other programs write it: layouts and types of images, kinds of labels, names and groups.
// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "data/container/pixel_format.h"
#include "data/pack/packer.h"
#include "tests/data/hdf5_editor.h"
#include "tests/data/support.h"

namespace resnext {
namespace {

using testing::Bytes;
using testing::Hdf5Editor;
using testing::make_image;

constexpr hsize_t kCount = 5, kHeight = 6, kWidth = 7, kPixels = kHeight * kWidth;

class Hdf5Kinds : public ::testing::Test {
 protected:
  Hdf5Kinds() {
    for (uint64_t i = 0; i < kCount; ++i) {
      const Bytes pixels = make_image(kHeight, kWidth, i).pixels;
      rgb_.insert(rgb_.end(), pixels.begin(), pixels.end());
    }
    rgb_[0] = 255;  // in the first image, so that every scale shows
  }

  // Element (image, pixel, channel) of what is stored.
  uint8_t at(size_t i, size_t p, size_t c) const { return rgb_[(i * kPixels + p) * 3 + c]; }

  std::string path() const { return folder_ / "a.h5"; }

  void write(const std::function<void(Hdf5Editor&)>& fill) const {
    Hdf5Editor file(path(), true);
    fill(file);
  }

  // Opens what `images` wrote, beside plain labels; compares with `channel(c)` of the pixels.
  void expect_images(const std::function<void(Hdf5Editor&)>& images, const std::string& said,
                     bool grey = false) const {
    write([&](Hdf5Editor& f) {
      f.put("labels", {kCount}, std::vector<int64_t>{0, 1, 2, 1, 0});
      images(f);
    });
    const Container container(path());
    ASSERT_EQ(container.remarks().size(), 1U);
    EXPECT_NE(container.remarks()[0].find(said), std::string::npos) << container.remarks()[0];
    EXPECT_NE(container.remarks()[0].find("pack hdf5"), std::string::npos);
    expect_pixels(container, grey);
    pack_hdf5({path()}, folder_ / "packed.h5");
    const Container packed(folder_ / "packed.h5");
    EXPECT_TRUE(packed.direct());
    EXPECT_EQ(packed.class_names(), (ClassNames{"0", "1", "2"}));
    EXPECT_EQ(packed.label(2), 2);
    expect_pixels(packed, grey);
  }
  void expect_pixels(const Container& container, bool grey) const {
    ASSERT_EQ(container.count(), static_cast<int64_t>(kCount));
    ASSERT_EQ(container.height(), static_cast<int64_t>(kHeight));
    ASSERT_EQ(container.width(), static_cast<int64_t>(kWidth));
    Bytes bytes;
    for (size_t i = 0; i < kCount; ++i) {
      container.read_sample(static_cast<int64_t>(i), bytes);
      ASSERT_EQ(bytes.size(), kPixels * 3);
      for (size_t p = 0; p < kPixels; ++p) {
        for (size_t c = 0; c < 3; ++c) ASSERT_EQ(bytes[p * 3 + c], at(i, p, grey ? 0 : c));
      }
    }
  }

  // The pixels in another order of dimensions, each through `convert`.
  template <typename T>
  std::vector<T> stored(size_t channels, bool first, const std::function<T(int)>& convert) const {
    std::vector<T> all(kCount * kPixels * channels);
    for (size_t i = 0; i < kCount; ++i) {
      for (size_t p = 0; p < kPixels; ++p) {
        for (size_t c = 0; c < channels; ++c) {
          const size_t place =
              first ? (i * channels + c) * kPixels + p : (i * kPixels + p) * channels + c;
          all[place] = convert(c == 3 ? 9 : at(i, p, c));
        }
      }
    }
    return all;
  }
  Bytes stored_bytes(size_t channels, bool first) const {
    return stored<uint8_t>(channels, first, [](int x) { return static_cast<uint8_t>(x); });
  }

  // Labels as `fill` writes them.
  Container with_labels(const std::function<void(Hdf5Editor&)>& fill) const {
    write([&](Hdf5Editor& f) {
      f.put("images", {kCount, kHeight, kWidth, 3}, rgb_);
      fill(f);
    });
    return Container(path());
  }
  static std::vector<int64_t> labels(const Container& container) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < container.count(); ++i) all.push_back(container.label(i));
    return all;
  }
  template <typename Call>
  static void expect_refused(const Call& call, const std::string& word) {
    try {
      call();
      ADD_FAILURE() << "was not refused: " << word;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }

  const testing::TemporaryFolder folder_;
  Bytes rgb_;
};

TEST_F(Hdf5Kinds, LayoutsOfBytes) {
  const auto put = [&](std::vector<hsize_t> dims, size_t channels, bool first) {
    return [=, this](Hdf5Editor& f) { f.put("x", dims, stored_bytes(channels, first)); };
  };
  expect_images(put({kCount, 3, kHeight, kWidth}, 3, true), "RGB, channels first");
  expect_images(put({kCount, kHeight, kWidth, 4}, 4, false), "RGB with alpha (dropped)");
  expect_images(put({kCount, kHeight, kWidth, 1}, 1, false), "grey", true);
  expect_images(put({kCount, 1, kHeight, kWidth}, 1, true), "grey, channels first", true);
  expect_images(
      [&](Hdf5Editor& f) {
        f.put("images", {kCount, kHeight, kWidth}, stored_bytes(1, false));
      },
      "grey", true);
}

TEST_F(Hdf5Kinds, ScalesOfOtherNumbers) {
  const std::vector<hsize_t> dims = {kCount, kHeight, kWidth, 3};
  const auto put = [&](auto values) {
    return [=](Hdf5Editor& f) { f.put_chunked("images", dims, values); };
  };
  expect_images(put(stored<float>(3, false, [](int x) { return static_cast<float>(x) / 255; })),
                "values in 0..1");
  expect_images(put(stored<double>(3, false, [](int x) { return x / 255.0; })), "values in 0..1");
  expect_images(put(stored<float>(3, false, [](int x) { return static_cast<float>(x); })),
                "values in 0..255");
  expect_images(put(stored<uint16_t>(3, false, [](int x) { return static_cast<uint16_t>(x); })),
                "values in 0..255");
  expect_images(
      put(stored<uint16_t>(3, false, [](int x) { return static_cast<uint16_t>(257 * x); })),
      "values in 0..65535");
  expect_images(put(stored<int32_t>(3, false, [](int x) { return x; })), "values in 0..255");
}

TEST_F(Hdf5Kinds, WhatIsNotExactIsRefusedWithTheCommandThatConverts) {
  auto values = stored<float>(3, false, [](int x) { return static_cast<float>(x) / 255; });
  values[4 * kPixels * 3 + 8] = 100.4F / 255;  // in the last image
  const auto put = [&](Hdf5Editor& f) {
    f.put("images", {kCount, kHeight, kWidth, 3}, values);
    f.put("labels", {kCount}, std::vector<int64_t>(kCount, 0));
  };
  write(put);
  Bytes bytes;
  EXPECT_NO_THROW(Container(path()).read_sample(3, bytes));
  expect_refused([&] { Container(path()).read_sample(4, bytes); },
                 "resnext_data pack hdf5 " + path());
  ContainerSource source{path()};
  source.rounded = true;
  pack_hdf5(source, folder_ / "packed.h5");
  Container(folder_ / "packed.h5").read_sample(4, bytes);
  EXPECT_EQ(bytes[8], 100);
  values[4 * kPixels * 3 + 8] = 3;  // of another scale than the rest
  write(put);
  expect_refused([&] { pack_hdf5(source, folder_ / "b.h5"); },
                 "has 3 as the largest value of 5 images");
  values[4 * kPixels * 3 + 8] = 0;
  write([&](Hdf5Editor& f) {  // of which the last is not looked at, and is of another scale
    std::vector<float> many(17 * 3, 0.2F);
    many.back() = 200;
    f.put("images", {17, 1, 1, 3}, many);
    f.put("labels", {17}, std::vector<int64_t>(17, 0));
  });
  expect_refused([&] { pack_hdf5(source, folder_ / "b.h5"); }, "outside of its scale");
  values[0] = -0.5F;  // normalised
  write(put);
  expect_refused([&] { Container{path()}; }, "before they are normalised");
}

TEST_F(Hdf5Kinds, Labels) {
  const std::vector<int64_t> expected = {2, 0, 1, 1, 0};
  const std::vector<double> one_hot = {0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0};
  const std::vector<std::function<void(Hdf5Editor&)>> kinds = {
      [&](Hdf5Editor& f) {
        f.put("labels", {kCount, 1}, expected);
      },
      [&](Hdf5Editor& f) {
        f.put("labels", {kCount, 1, 1, 1}, Bytes{2, 0, 1, 1, 0});
      },
      [&](Hdf5Editor& f) {
        f.put("labels", {kCount}, std::vector<double>{2, 0, 1, 1, 0});
      },
      [&](Hdf5Editor& f) {
        f.put("labels", {kCount}, std::vector<float>{2, 0, 1, 1, 0});
      },
      [&](Hdf5Editor& f) {
        f.put("labels", {kCount, 3}, one_hot);
      },
      [&](Hdf5Editor& f) {
        f.put("labels", {kCount, 3}, Bytes(one_hot.begin(), one_hot.end()));
      },
      [&](Hdf5Editor& f) {
        f.put("y", {kCount, 1}, expected);
      },
      [&](Hdf5Editor& f) {
        f.put_texts("y", {"owl", "ant", "cat", "cat", "ant"});
      }};
  for (const auto& kind : kinds) EXPECT_EQ(labels(with_labels(kind)), expected);
  EXPECT_EQ(with_labels(kinds.back()).class_names(), (ClassNames{"ant", "cat", "owl"}));
  EXPECT_EQ(labels(with_labels([](Hdf5Editor& f) {
              f.put_truths("labels", {true, false, false, true, true});
            })),
            (std::vector<int64_t>{1, 0, 0, 1, 1}));
  const Container named = with_labels([&](Hdf5Editor& f) {
    f.put_texts("labels", {"owl", "ant", "cat", "cat", "ant"});
    f.put_text_attribute("class_names", {"owl", "cat", "ant"});
  });
  EXPECT_EQ(labels(named), (std::vector<int64_t>{0, 2, 1, 1, 2}));
}

TEST_F(Hdf5Kinds, RefusesLabelsThatAreNone) {
  const auto refuse = [&](const std::function<void(Hdf5Editor&)>& fill, const char* word) {
    expect_refused([&] { with_labels(fill); }, word);
  };
  refuse(
      [](Hdf5Editor& f) {
        f.put("labels", {kCount}, std::vector<double>{0, 1, 0.5, 0, 1});
      },
      "label 0.5 of sample 2 is no whole number");
  refuse(
      [](Hdf5Editor& f) {
        f.put("labels", {kCount, 2}, Bytes{1, 0, 1, 1, 0, 1, 0, 1, 0, 1});
      },
      "row 1 is not one-hot");
  refuse(
      [](Hdf5Editor& f) {
        f.put("labels", {kCount, 2}, Bytes{1, 0, 0, 0, 0, 1, 0, 1, 0, 1});
      },
      "row 1 is not one-hot");
  refuse(
      [](Hdf5Editor& f) {
        f.put("labels", {kCount, 2}, Bytes{1, 0, 0, 5, 0, 1, 0, 1, 0, 1});
      },
      "row 1 is not one-hot");
  refuse([](Hdf5Editor& f) { f.put("labels", {3}, Bytes{1, 0, 0}); }, "must be 5 labels");
  refuse(
      [](Hdf5Editor& f) {
        f.put_texts("labels", {"owl", "ant", "cat", "cat", "ant"});
        f.put_text_attribute("class_names", {"owl", "cat"});
      },
      "'ant' is not among the class names");
}

TEST_F(Hdf5Kinds, DatasetsAreNamedInGroupsAndOtherFiles) {
  write([&](Hdf5Editor& f) {
    for (const char* group : {"train", "test"}) {
      const std::string name = group;
      f.put_group(name);
      f.put(name + "/x", {kCount, kHeight, kWidth, 3}, rgb_);
      f.put(name + "/masks", {kCount, kHeight, kWidth, 3}, Bytes(rgb_.size(), 1));
      const int64_t base = name == "train" ? 0 : 5;
      f.put(name + "/fine", {kCount}, std::vector<int64_t>{base, base + 1, base + 2, 0, 0});
      f.put(name + "/coarse", {kCount}, std::vector<int64_t>{1, 0, 0, 1, 1});
    }
  });
  Hdf5Editor(folder_ / "y.h5", true).put("deep", {kCount}, std::vector<int64_t>{4, 3, 2, 1, 0});
  expect_refused([&] { Container{path()}; }, "4 datasets could be the images: test/masks, test/x");
  expect_refused([&] { Container{path() + ":/train"}; },
                 "2 datasets could be the images: masks, x");
  const ContainerSource no_labels{path() + ":/train", "x"};
  expect_refused([&] { Container{no_labels}; }, "2 datasets could be the labels: coarse, fine");
  expect_refused([&] { Container{path() + ":/none"}; }, "there is no such group");
  EXPECT_EQ(labels(Container(ContainerSource{path() + ":/test", "x", "fine"})),
            (std::vector<int64_t>{5, 6, 7, 0, 0}));
  EXPECT_EQ(labels(Container(ContainerSource{path() + ":/train", "x", "coarse"})),
            (std::vector<int64_t>{1, 0, 0, 1, 1}));
  EXPECT_EQ(labels(Container(ContainerSource{path(), "test/x", folder_ / "y.h5:/deep"})),
            (std::vector<int64_t>{4, 3, 2, 1, 0}));
  expect_refused(
      [&] {
        Container(ContainerSource{path(), "test/x", folder_ / "none.h5:/deep"});
      },
      "none.h5: cannot be opened");
}

// Labels that are an enumeration say what they mean.
TEST_F(Hdf5Kinds, AnEnumerationNamesTheClasses) {
  const std::map<std::string, int8_t> members = {
      {"owl", 10}, {"ant", 20}, {"cat", 30}, {"dog", 40}};
  const auto fill = [&](Hdf5Editor& f) {
    f.put_enumeration("labels", members, {30, 10, 20, 20, 10});
  };
  EXPECT_EQ(with_labels(fill).class_names(), (ClassNames{"owl", "ant", "cat", "dog"}));
  EXPECT_EQ(labels(with_labels(fill)), (std::vector<int64_t>{2, 0, 1, 1, 0}));
  const Container named = with_labels([&](Hdf5Editor& f) {
    fill(f);
    f.put_text_attribute("class_names", {"ant", "cat", "dog", "owl"});
  });
  EXPECT_EQ(labels(named), (std::vector<int64_t>{1, 3, 0, 0, 3}));
  expect_refused(
      [&] {
        with_labels([&](Hdf5Editor& f) {
          f.put_enumeration("labels", members, {30, 10, 11, 20, 10});
        });
      },
      "label 11 of sample 2 is none of its enumeration");
}

TEST_F(Hdf5Kinds, ClassNamesAreFoundBesideTheLabelsToo) {
  const std::vector<int64_t> numbers = {2, 0, 1, 1, 0};
  const std::vector<const char*> texts = {"owl", "ant", "cat"};
  const ClassNames expected = {"owl", "ant", "cat"};
  EXPECT_EQ(with_labels([&](Hdf5Editor& f) {
              f.put("labels", {kCount}, numbers);
              f.put_text_attribute("class_names", texts, "labels");
            }).class_names(),
            expected);
  EXPECT_EQ(with_labels([&](Hdf5Editor& f) {
              f.put("labels", {kCount}, numbers);
              f.put_texts("class_names", texts);
            }).class_names(),
            expected);
  write([&](Hdf5Editor& f) {
    f.put_group("train");
    f.put("train/images", {kCount, kHeight, kWidth, 3}, rgb_);
    f.put("train/labels", {kCount}, numbers);
    f.put_text_attribute("class_names", texts);
  });
  EXPECT_EQ(Container(path() + ":/train").class_names(), expected);
  Hdf5Editor(folder_ / "y.h5", true).put("deep", {kCount}, numbers);
  Hdf5Editor(folder_ / "y.h5").put_text_attribute("class_names", {"a", "b", "c"}, "deep");
  EXPECT_EQ(
      Container(ContainerSource{path() + ":/train", "", folder_ / "y.h5:/deep"}).class_names(),
      (ClassNames{"a", "b", "c"}));
}

TEST_F(Hdf5Kinds, BlanksThatFillANameUpAreNoPartOfIt) {
  const Container container =
      with_labels([](Hdf5Editor& f) { f.put_blank_padded("labels", 4, "owl ant cat cat ant "); });
  EXPECT_EQ(container.class_names(), (ClassNames{"ant", "cat", "owl"}));
}

TEST_F(Hdf5Kinds, OneHotRowsSayHowManyClassesThereAre) {
  const Container container = with_labels([](Hdf5Editor& f) {
    f.put("labels", {kCount, 4}, Bytes{1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0});
  });
  EXPECT_EQ(container.classes(), 4);
}

// HDF5 tells the place of such images in their own file.
TEST_F(Hdf5Kinds, ImagesOfALinkedFileAreReadFromThere) {
  Hdf5Editor(folder_ / "other.h5", true).put("x", {kCount, kHeight, kWidth, 3}, rgb_);
  write([&](Hdf5Editor& f) {
    f.put("padding", {1 << 14}, Bytes(1 << 14, 99));  // so that the place is within this file
    f.put("labels", {kCount}, std::vector<int64_t>{0, 1, 2, 1, 0});
    f.put_link("images", folder_ / "other.h5", "x");
  });
  const Container container(path());
  EXPECT_FALSE(container.direct());
  expect_pixels(container, /*grey=*/false);
  std::filesystem::remove(std::string(folder_ / "other.h5"));
  expect_refused([&] { Container{path()}; }, "images: is a link that leads nowhere");
  expect_refused([&] { Container{folder_ / ""}; },
                 "is a folder; name a file: of a folder of images");
}

TEST_F(Hdf5Kinds, ACompressionThatIsNotInstalledIsNamed) {
  write([&](Hdf5Editor& f) {
    f.put_filtered("images", {kCount, kHeight, kWidth, 3}, rgb_);
    f.put("labels", {kCount}, std::vector<int64_t>{0, 1, 2, 1, 0});
  });
  expect_refused([&] { Container{path()}; }, "not installed: squeeze (filter 510)");
}

// What is opened for a call is closed before its failure is told.
TEST_F(Hdf5Kinds, ClosingForgetsNoError) {
  const auto lock = lock_hdf5();
  const Hdf5ErrorsSilenced silenced;
  Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  EXPECT_LT(H5Fopen((folder_ / "none.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), 0);
  const std::string told = hdf5_error();
  EXPECT_TRUE(space.close());
  EXPECT_FALSE(told.empty());
  EXPECT_EQ(hdf5_error(), told);
}

TEST_F(Hdf5Kinds, AnEmptySampleIsNoImage) {
  write([&](Hdf5Editor& f) {
    f.put_sequences("images", {testing::read_bytes(testing::golden_path("420.jpg")), {}});
    f.put("labels", {2}, std::vector<int64_t>{0, 1});
  });
  expect_refused([&] { pack_hdf5({path()}, folder_ / "b.h5"); }, "sample 1 is empty");
}

// 12-bit images, images divided by 255 twice, one stray value, a bit a pixel: rounding would make
// black images of them, which nobody would notice.
TEST_F(Hdf5Kinds, ImagesOfAnotherScaleAreRefusedAndBlackOnesSaid) {
  const std::vector<hsize_t> dims = {kCount, kHeight, kWidth, 3};
  const auto put = [&](const auto& values) {
    write([&](Hdf5Editor& f) {
      f.put("images", dims, values);
      f.put("labels", {kCount}, std::vector<int64_t>{0, 1, 2, 1, 0});
    });
  };
  const auto refuse = [&](const auto& values, const char* word) {
    put(values);
    ContainerSource source{path()};
    source.rounded = true;
    expect_refused([&] { pack_hdf5(source, folder_ / "b.h5"); }, word);
  };
  refuse(stored<uint16_t>(3, false, [](int x) { return static_cast<uint16_t>(16 * x); }),
         "has 4080 as the largest value");
  refuse(stored<double>(3, false, [](int x) { return x / 255.0 / 255; }), "largest value");
  auto stray = stored<float>(3, false, [](int x) { return static_cast<float>(x) / 255; });
  stray[5] = 255;
  refuse(stray, "has 255 as the largest value of 5 images and 0.");
  put(stored<uint8_t>(3, false, [](int x) { return static_cast<uint8_t>(x > 127); }));
  const Container bits(path());
  ASSERT_EQ(bits.remarks().size(), 1U);
  EXPECT_NE(bits.remarks()[0].find("all but black"), std::string::npos);
}

TEST_F(Hdf5Kinds, PackingTakesTheClassesOfAList) {
  const std::string list = folder_ / "classes";
  const std::string lines = "owl\ncat\nant\ndog\n";
  testing::write_bytes(list, Bytes(lines.begin(), lines.end()));
  const auto packed = [&](const std::function<void(Hdf5Editor&)>& fill) {
    with_labels(fill);
    ContainerSource source{path()};
    source.classes = list;
    pack_hdf5(source, folder_ / "packed.h5");
    return Container(folder_ / "packed.h5");
  };
  const auto numbers = [](Hdf5Editor& f) { f.put("labels", {kCount}, Bytes{2, 0, 1, 1, 0}); };
  const auto texts = [](Hdf5Editor& f) {
    f.put_texts("labels", {"owl", "ant", "cat", "cat", "ant"});
  };
  const ClassNames names = {"owl", "cat", "ant", "dog"};
  EXPECT_EQ(packed(numbers).class_names(), names);
  EXPECT_EQ(labels(packed(numbers)), (std::vector<int64_t>{2, 0, 1, 1, 0}));
  EXPECT_EQ(packed(texts).class_names(), names);
  EXPECT_EQ(labels(packed(texts)), (std::vector<int64_t>{0, 2, 1, 1, 2}));
  expect_refused(
      [&] { packed([](Hdf5Editor& f) {
              f.put("labels", {kCount}, Bytes{2, 0, 1, 4, 0});
            }); },
      "has 5 classes");
  expect_refused(
      [&] {
        packed([](Hdf5Editor& f) { f.put_texts("labels", {"owl", "ant", "cat", "emu", "ant"}); });
      },
      "only here: emu");
}

TEST_F(Hdf5Kinds, RowsOfPixelsAreNoGreyImages) {
  write([&](Hdf5Editor& f) {
    f.put("images", {kCount, kPixels, 3}, rgb_);
    f.put("labels", {kCount}, std::vector<int64_t>{0, 1, 2, 1, 0});
  });
  expect_refused([&] { Container{path()}; }, "must be numbers [N,H,W,C]");
}

// A column of bytes as labels has the rank of images.
TEST_F(Hdf5Kinds, LabelsAreNotTakenForImages) {
  write([&](Hdf5Editor& f) {
    f.put("x", {kCount, kHeight, kWidth, 3}, rgb_);
    f.put("y", {kCount, 1, 1, 1}, Bytes{2, 0, 1, 1, 0});
  });
  EXPECT_EQ(labels(Container(path())), (std::vector<int64_t>{2, 0, 1, 1, 0}));
}

}  // namespace
}  // namespace resnext
