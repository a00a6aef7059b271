// Times the input pipeline, or what bounds it, on the samples of a container.
//
//   loader_benchmark FILE.h5 [--what loader --recipe torchvision --augment recipe
//                             --interpolation auto --threads 1 --batch 64 --size 224 --seconds 3]
// loader: the worker's own DataLoader in training, up to next(). The others work on one thread on
// samples that lie in memory: crop is libjpeg-turbo alone on the loader's random crops
// (jpeg_skip_scanlines, jpeg_crop_scanline), full the whole decode, entropy the Huffman codes of
// the whole (jpeg_read_coefficients), memory a copy of the stored bytes. Prints images per second
// of the clock, and CPU time per image of all threads, which other programs disturb less. augment
// prints the CPU time of each operation of augmentation on a square in the cache, over all its
// strengths.
// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <ctime>
#include <map>

#include "data/augment/crop.h"
#include "data/augment/recipe.h"
#include "data/augment/trivial_augment.h"
#include "data/container/container.h"
#include "data/image/image_decoder.h"
#include "data/image/jpeg_library.h"
#include "data/loader/data_loader.h"

namespace {

using namespace resnext;

struct Settings {
  std::string file;
  std::string what = "loader";
  RecipeOptions recipe;
  int64_t threads = 1;
  int64_t batch = 64;
  double seconds = 3;
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Calls `work`, which returns how many images it did, for about so many seconds.
template <typename Work>
void measure(const Settings& s, const Work& work) {
  using Clock = std::chrono::steady_clock;
  for (int64_t done = 0; done < 256;) done += work();  // warm-up
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  int64_t images = 0;
  std::chrono::duration<double> passed{};
  do {
    images += work();
    passed = Clock::now() - begin;
  } while (passed.count() < s.seconds);
  const auto n = static_cast<double>(images);
  fmt::print("{} {} threads={}: {:.3f} ms CPU/image, {:.0f} img/s\n", s.what, s.file, s.threads,
             (cpu_seconds() - cpu) / n * 1e3, n / passed.count());
}

void measure_loader(const Settings& s) {
  const Container container(s.file);
  LoaderOptions options;
  options.per_rank = s.batch;
  options.threads = s.threads;
  DataLoader loader(container, Recipe(s.recipe), options);
  loader.start({});
  measure(s, [&] { return loader.next().count; });
}

void decode_crop(std::span<const uint8_t> bytes, int64_t size, KeyedRandom& random, Image& out) {
  Decompressor jpeg(bytes);
  jpeg_decompress_struct& info = jpeg.info();
  const Crop crop = random_resized_crop(info.image_height, info.image_width, size, random);
  info.out_color_space = JCS_RGB;
  auto left = static_cast<JDIMENSION>(crop.left), width = static_cast<JDIMENSION>(crop.width);
  jpeg.guarded([&] {
    jpeg_start_decompress(&info);
    if (width < info.output_width) jpeg_crop_scanline(&info, &left, &width);
    if (crop.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(crop.top));
  });
  out.resize(crop.height, info.output_width);
  jpeg.guarded([&] {
    for (int64_t y = 0; y < crop.height; ++y) {
      uint8_t* row = out.row(y);
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_abort_decompress(&info);
  });
}

void read_coefficients(std::span<const uint8_t> bytes) {
  Decompressor jpeg(bytes);
  jpeg.guarded([&] { jpeg_read_coefficients(&jpeg.info()); });
}

void measure_bound(const Settings& s) {
  const Container container(s.file);
  std::vector<std::vector<uint8_t>> samples(static_cast<size_t>(container.count()));
  for (int64_t i = 0; i < container.count(); ++i) {
    container.read_sample(i, samples[static_cast<size_t>(i)]);
  }
  Image image;
  std::vector<uint8_t> copy;
  uint64_t number = 0;
  measure(s, [&]() -> int64_t {
    const std::vector<uint8_t>& bytes = samples[number++ % samples.size()];
    KeyedRandom random(RandomUse::kAugment, 1, 0, number);
    if (s.what == "crop") decode_crop(bytes, s.recipe.size, random, image);
    if (s.what == "full") decode_image(bytes, image);
    if (s.what == "entropy") read_coefficients(bytes);
    if (s.what == "memory") copy = bytes;
    return 1;
  });
}

double augment_seconds(Augmentation kind, Sampling sampling, const std::vector<uint8_t>& square,
                       int64_t size) {
  std::vector<uint8_t> out(square.size()), scratch;
  double least = 1;
  for (int round = 0; round < 9; ++round) {
    const double begin = cpu_seconds();
    for (int strength = 0; strength < kStrengths; ++strength) {
      const double sign = has_sign(kind) && strength % 2 == 1 ? -1 : 1;
      augment({kind, sign * magnitude_of(kind, strength), {sampling}}, square.data(), size,
              out.data(), scratch);
    }
    least = std::min(least, (cpu_seconds() - begin) / kStrengths);
  }
  return least;
}

void measure_augment(const Settings& s) {
  const char* const names[] = {"identity",     "shear-x",   "shear-y",      "translate-x",
                               "translate-y",  "rotate",    "brightness",   "colour",
                               "contrast",     "sharpness", "posterize",    "solarize",
                               "autocontrast", "equalize",  "solarize-add", "invert"};
  const Container container(s.file);
  std::vector<uint8_t> bytes;
  container.read_sample(0, bytes);
  RecipeOptions options = s.recipe;
  options.name = RecipeName::kNone;
  options.augment = {};
  const Recipe recipe(options);
  RecipeScratch scratch;
  std::vector<uint8_t> square(static_cast<size_t>(recipe.square_bytes()));
  recipe.apply({container.storage(), bytes, container.height(), container.width()}, {}, scratch,
               square.data());
  for (const Sampling sampling : {Sampling::kNearest, Sampling::kBilinear, Sampling::kBicubic}) {
    for (size_t kind = 0; kind < std::size(names); ++kind) {
      const auto augmentation = static_cast<Augmentation>(kind);
      const bool warped =
          augmentation >= Augmentation::kShearX && augmentation <= Augmentation::kRotate;
      if (sampling != Sampling::kNearest && !warped) continue;
      const char* const reading[] = {"", " bilinear", " bicubic"};
      fmt::print("augment {}{}: {:.1f} us\n", names[kind], reading[static_cast<int>(sampling)],
                 augment_seconds(augmentation, sampling, square, options.size) * 1e6);
    }
  }
}

Settings parse(int argc, char** argv) {
  Settings s;
  CLI::App app("Times the input pipeline.");
  const std::map<std::string, RecipeName> recipes = {{"seed", RecipeName::kSeed},
                                                     {"torchvision", RecipeName::kTorchvision},
                                                     {"torchvision-v2", RecipeName::kTorchvisionV2},
                                                     {"cifar", RecipeName::kCifar},
                                                     {"none", RecipeName::kNone}};
  const std::map<std::string, AugmentPolicy> policies = {{"recipe", AugmentPolicy::kRecipe},
                                                         {"none", AugmentPolicy::kNone},
                                                         {"trivial", AugmentPolicy::kTrivial},
                                                         {"rand", AugmentPolicy::kRand}};
  const std::map<std::string, Interpolation> interpolations = {
      {"auto", Interpolation::kAuto},
      {"bilinear", Interpolation::kBilinear},
      {"bicubic", Interpolation::kBicubic},
      {"random", Interpolation::kRandom}};
  app.add_option("FILE", s.file)->required();
  app.add_option("--what", s.what)
      ->check(CLI::IsMember({"loader", "crop", "full", "entropy", "memory", "augment"}));
  app.add_option("--recipe", s.recipe.name)->transform(CLI::CheckedTransformer(recipes));
  app.add_option("--augment", s.recipe.augment.policy)
      ->transform(CLI::CheckedTransformer(policies));
  app.add_option("--interpolation", s.recipe.interpolation)
      ->transform(CLI::CheckedTransformer(interpolations));
  app.add_option("--threads", s.threads);
  app.add_option("--batch", s.batch);
  app.add_option("--size", s.recipe.size);
  app.add_option("--seconds", s.seconds);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) try {
  const Settings s = parse(argc, argv);
  if (s.what == "loader") {
    measure_loader(s);
  } else if (s.what == "augment") {
    measure_augment(s);
  } else {
    measure_bound(s);
  }
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "loader_benchmark: {}\n", error.what());
  return 1;
}
