// Helpers of the data tests: temporary folders, reference images, small containers.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/container/container.h"
#include "data/container/container_writer.h"
#include "data/image/image.h"

namespace resnext::testing {

// An empty folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

using Bytes = std::vector<uint8_t>;

Bytes read_bytes(const std::string& path);
void write_bytes(const std::string& path, const Bytes& bytes);

// Files of tests/data/golden, which make_golden.py made.
std::string golden_path(const std::string& name);
Image golden_image(const std::string& name);                // NAME.ppm
std::vector<float> golden_values(const std::string& name);  // NAME.f32, of make_seed_golden.py

// Largest and mean difference of two images of the same size.
struct Difference {
  int largest = 0;
  double mean = 0;
};
Difference difference(const ImageView& a, const ImageView& b);

// Waves and noise of a given size, the same for the same `number`.
Image make_image(int64_t height, int64_t width, uint64_t number);

// A raw container of make_image(height, width, i) with label i % classes.
void write_raw_container(const std::string& path, int64_t count, int64_t height, int64_t width,
                         int64_t classes);
// The same images as JPEG.
void write_jpeg_container(const std::string& path, int64_t count, int64_t height, int64_t width,
                          int64_t classes);

// Runs a program with a shell; its exit code and what it wrote to both outputs.
struct CommandResult {
  int code = -1;
  std::string output;
};
CommandResult run_command(const std::string& command);

}  // namespace resnext::testing
