// How far a run is: the live line fits the terminal.
// SPDX-License-Identifier: BSD-3-Clause
#include "worker/record/progress_line.h"

#include <gtest/gtest.h>

namespace resnext {
namespace {

const Pace kPace = {2, 90, 700, 1400, 1.25, 0.1, 1563.4, 0.2, 3720};

TEST(ProgressLine, LogLineTellsEverything) {
  EXPECT_EQ(log_line(kPace),
            "epoch 3/90  step 700/1400  loss 1.2500  lr 0.1  1563 img/s  data wait 0.2 ms  left "
            "1h02m");
}

TEST(ProgressLine, LiveLineHasABarAndFits) {
  EXPECT_EQ(live_line(kPace, 75),
            "[========>        ]  50 %  epoch 3/90  loss 1.2500  1563 img/s  1h02m left");
  EXPECT_EQ(live_line(kPace, 200), live_line(kPace, 500)) << "the bar has a greatest width";
  for (int columns = 1; columns < 120; ++columns) {
    EXPECT_LT(live_line(kPace, columns).size(), static_cast<size_t>(columns));
  }
}

}  // namespace
}  // namespace resnext
