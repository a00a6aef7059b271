// make_tiny_data OUT.h5 IMAGES: a container of small random images for the job tests.
// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <cstdlib>

#include "tests/support/tiny_data.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: make_tiny_data OUT.h5 IMAGES\n", stderr);
    return 64;
  }
  resnext::test::TinyData data;
  data.images = std::atoll(argv[2]);
  resnext::test::write_tiny_container(argv[1], data);
  return 0;
}
