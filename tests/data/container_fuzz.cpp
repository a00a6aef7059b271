// SPDX-License-Identifier: BSD-3-Clause
#include "tests/data/container_fuzz.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "comm/common/error.h"
#include "data/container/container.h"
#include "tests/data/hdf5_editor.h"

namespace {

using resnext::Container;
using resnext::testing::Hdf5Editor;

// Numbers from bytes; 0 after their end.
class Source {
 public:
  Source(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  // Mostly small, now and then anything.
  int64_t number() {
    constexpr uint8_t kAnything = 250;
    const uint8_t small = byte();
    if (small < kAnything) return small;
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return static_cast<int64_t>(value);
  }
  template <typename T>
  std::vector<T> numbers(size_t count) {
    std::vector<T> values(count);
    for (T& value : values) value = static_cast<T>(number());
    return values;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

void write_images(Hdf5Editor& file, Source& in, bool encoded) {
  if (encoded) {
    const size_t bytes = in.byte();
    file.put("images", {bytes}, in.numbers<uint8_t>(bytes));
    std::vector<uint64_t> offsets = in.numbers<uint64_t>(in.byte() % 16);
    if (in.byte() % 2 == 0) {
      for (size_t i = 1; i < offsets.size(); ++i) offsets[i] += offsets[i - 1];
    }
    file.put("offsets", {offsets.size()}, offsets);
    return;
  }
  std::vector<hsize_t> dims(1 + in.byte() % 5);
  size_t elements = 1;
  for (hsize_t& size : dims) elements *= size = in.byte() % 6;
  file.put("images", dims, in.numbers<uint8_t>(elements));
}

void write_container(const std::string& path, Source& in) {
  Hdf5Editor file(path, /*create=*/true);
  const uint8_t kind = in.byte();
  const bool own = (kind & 1) != 0, encoded = (kind & 2) != 0;
  if (own) file.put_attribute("format_version", std::vector<int64_t>{in.number() % 4});
  if (own) file.put_attribute("storage", encoded != ((kind & 4) != 0) ? "jpeg" : "raw");
  write_images(file, in, encoded);
  const size_t labels = in.byte() % 16, checksums = in.byte() % 16;
  file.put("labels", {labels}, in.numbers<int64_t>(labels));
  if ((kind & 8) != 0) file.put("crc32c", {checksums}, in.numbers<uint32_t>(checksums));
  if ((kind & 16) != 0) file.put_text_attribute("class_names", {"cat", "dog", "cat"});
  if ((kind & 32) != 0) file.put_attribute("mean", in.numbers<double>(1 + in.byte() % 4));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path = "/tmp/resnext_container_fuzz_" + std::to_string(::getpid());
  Source in(data, size);
  write_container(path, in);
  try {
    const Container container(path, /*verify_crc=*/in.byte() % 2 == 0);
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < std::min<int64_t>(container.count(), 32); ++i) {
      container.label(i);
      container.read_sample(i, bytes);
    }
  } catch (const resnext::DataError&) {
  }
  ::unlink(path.c_str());
  return 0;
}
