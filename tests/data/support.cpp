// Helpers of the data tests.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/data/support.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "data/image/jpeg_encoder.h"
#include "data/keyed_random.h"

namespace resnext::testing {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "resnext_data_test_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Bytes read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string& path, const Bytes& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path);
}

std::string golden_path(const std::string& name) {
  return std::string(RESNEXT_SOURCE_DIR) + "/tests/data/golden/" + name;
}

Image golden_image(const std::string& name) {
  const Bytes bytes = read_bytes(golden_path(name + ".ppm"));
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  std::string magic;
  int64_t width = 0, height = 0, highest = 0;
  text >> magic >> width >> height >> highest;
  text.get();
  Image image;
  image.resize(height, width);
  text.read(reinterpret_cast<char*>(image.pixels.data()),
            static_cast<std::streamsize>(image.pixels.size()));
  if (magic != "P6" || !text) throw std::runtime_error("bad reference " + name);
  return image;
}

std::vector<float> golden_values(const std::string& name) {
  const Bytes bytes = read_bytes(golden_path(name + ".f32"));
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Difference difference(const ImageView& a, const ImageView& b) {
  if (a.height != b.height || a.width != b.width) throw std::runtime_error("sizes differ");
  Difference result;
  for (int64_t y = 0; y < a.height; ++y) {
    for (int64_t i = 0; i < a.width * 3; ++i) {
      const int step = std::abs(int{a.row(y)[i]} - int{b.row(y)[i]});
      result.largest = std::max(result.largest, step);
      result.mean += step;
    }
  }
  result.mean /= static_cast<double>(a.height * a.width * 3);
  return result;
}

Image make_image(int64_t height, int64_t width, uint64_t number) {
  KeyedRandom random(RandomUse::kAugment, 12345, 0, number);
  const double fx = random.uniform(0.02, 0.2), fy = random.uniform(0.02, 0.2);
  const double phase = random.uniform(0, 6);
  Image image;
  image.resize(height, width);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t i = 0; i < width * 3; ++i) {
      const double wave =
          std::sin(fx * static_cast<double>(i / 3) + phase * static_cast<double>(i % 3)) *
          std::cos(fy * static_cast<double>(y) + phase);
      image.row(y)[i] = static_cast<uint8_t>(128 + 110 * wave + random.uniform(-12, 12));
    }
  }
  return image;
}

namespace {

void write_container(const std::string& path, int64_t count, int64_t height, int64_t width,
                     int64_t classes, Storage storage) {
  ContainerWriter writer(path);
  for (int64_t i = 0; i < count; ++i) {
    const Image image = make_image(height, width, static_cast<uint64_t>(i));
    writer.append(storage == Storage::kRaw ? image.pixels : encode_jpeg(image.view(), 90),
                  i % classes);
  }
  ContainerDescription description;
  description.storage = storage;
  description.height = height;
  description.width = width;
  for (int64_t c = 0; c < classes; ++c)
    description.class_names.push_back("class " + std::to_string(c));
  description.mean = {0.1, 0.2, 0.3};
  description.std = {0.4, 0.5, 0.6};
  writer.finish(description);
}

}  // namespace

void write_raw_container(const std::string& path, int64_t count, int64_t height, int64_t width,
                         int64_t classes) {
  write_container(path, count, height, width, classes, Storage::kRaw);
}

void write_jpeg_container(const std::string& path, int64_t count, int64_t height, int64_t width,
                          int64_t classes) {
  write_container(path, count, height, width, classes, Storage::kJpeg);
}

CommandResult run_command(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  CommandResult result;
  char part[4096];
  for (size_t got = 0; (got = std::fread(part, 1, sizeof part, pipe)) > 0;) {
    result.output.append(part, got);
  }
  const int status = ::pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

}  // namespace resnext::testing
