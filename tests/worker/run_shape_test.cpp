// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/run_shape.h"

#include <gtest/gtest.h>

#include "comm/common/error.h"

namespace resnext {
namespace {

RunShape shape_of(const RunConfig& config) {
  RunShape shape;
  shape.device = "GPU";
  shape.batch.per_rank = 4;
  shape.cost = model_cost(config.model, 64);
  shape.needed_bytes = memory_estimate(config, shape);
  return shape;
}

TEST(RunShape, EstimatesMemoryInTheTypeThatIsComputedIn) {
  RunConfig config;
  config.model.classes = 10;
  const Cost cost = model_cost(config.model, 64);
  const int64_t weights = cost.gradient_bytes, activations = 4 * cost.activation_bytes;
  EXPECT_EQ(shape_of(config).needed_bytes, 3 * weights + activations);
  config.precision.compute = Compute::kFp64;
  EXPECT_EQ(shape_of(config).needed_bytes, 6 * weights + 2 * activations);
  config.precision.compute = Compute::kBf16;
  EXPECT_EQ(shape_of(config).needed_bytes, 7 * weights / 2 + activations / 2);
}

TEST(RunShape, RefusesWhatTheDeviceCannotHold) {
  RunConfig config;
  config.model.classes = 10;
  RunShape shape = shape_of(config);
  EXPECT_NO_THROW(check_memory(shape));  // of the CPU no limit is known
  shape.device_bytes = shape.needed_bytes;
  EXPECT_NO_THROW(check_memory(shape));
  EXPECT_NE(to_table(config, shape).find(" of "), std::string::npos);
  shape.device_bytes = shape.needed_bytes - 1;
  try {
    check_memory(shape);
    FAIL() << "was accepted";
  } catch (const ConfigError& error) {
    for (const char* part :
         {"batch.per_rank", "4 images need about", "GPU has", "recompute_stages"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

// The last stage of the ImageNet family halves its sides five times in all: 32 pixels become one.
TEST(RunShape, RefusesToNormaliseOverOneValue) {
  RunConfig config;
  config.model.classes = 10;
  config.data.size = 32;
  RunShape shape;
  shape.batch.per_rank = 1;
  try {
    check_statistics(config, shape);
    FAIL() << "was accepted";
  } catch (const ConfigError& error) {
    for (const char* part : {"batch.per_rank", "32 px", "layer4.0.bn2", "2 images or more"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  config.data.size = 33;
  EXPECT_NO_THROW(check_statistics(config, shape));
  config.data.size = 32;
  shape.batch.per_rank = 2;
  EXPECT_NO_THROW(check_statistics(config, shape));
}

}  // namespace
}  // namespace resnext
