// A short run of weights_fuzz.h in every build: files of each format with pieces changed, cut out,
// doubled and exchanged. tests/model/fuzz_weights.sh takes longer, and looks for new paths.
// SPDX-License-Identifier: BSD-3-Clause
#include "tests/model/weights/weights_fuzz.h"

#include <cstdlib>
#include <random>

#include "tests/model/weights/weights_files.h"

namespace resnext::test {
namespace {

using Random = std::mt19937_64;

size_t below(Random& random, size_t limit) {
  return limit == 0 ? 0 : random() % limit;
}

// One of four changes of a piece of up to 16 bytes.
void change(std::string& bytes, Random& random) {
  const size_t at = below(random, bytes.size());
  const size_t count = std::min(bytes.size() - at, 1 + below(random, 16));
  switch (random() % 4) {
    case 0:
      for (size_t i = at; i < at + count; ++i) bytes[i] = static_cast<char>(random());
      break;
    case 1:
      bytes.erase(at, count);
      break;
    case 2:
      bytes.insert(at, bytes.substr(at, count));
      break;
    default:
      bytes.replace(at, count, bytes.substr(below(random, bytes.size()), count));
  }
}

void fuzz(const std::vector<fs::path>& files, int rounds) {
  Random random(7);
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = read_bytes(files[static_cast<size_t>(round) % files.size()]);
    for (size_t changes = 1 + below(random, 4); changes > 0; --changes) change(bytes, random);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
}

class WeightsFuzz : public WeightsTest {};

TEST_F(WeightsFuzz, TorchSave) {
  fuzz({kGolden / "legacy.pth", kGolden / "no_crc.pt", kGolden / "checkpoints/legacy5.pt",
        kGolden / "checkpoints/legacy2.pt", kGolden / "typical.pt"},
       20'000);
}

TEST_F(WeightsFuzz, Safetensors) {
  fuzz({kGolden / "written.safetensors"}, 20'000);
}

TEST_F(WeightsFuzz, Torch7) {
  const std::string command = "'" RESNEXT_PYTHON3 "' -B '" RESNEXT_SOURCE_DIR
                              "/tests/model/weights/make_t7.py' '" +
                              path("t7") + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  fuzz({path("t7/form_c.t7"), path("t7/form_b.t7"), path("t7/latest.t7")}, 2'000);
}

}  // namespace
}  // namespace resnext::test
