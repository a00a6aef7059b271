#!/usr/bin/env bash
# fuzz_container.sh [SECONDS]: fuzzes the index of data containers (600), with libFuzzer, ASan and UBSan.
# SPDX-License-Identifier: BSD-3-Clause
#
# Needs clang++ with libFuzzer (Debian: clang, libclang-rt-14-dev). What is found stays in
# build/fuzz/container/; a crash stops it, and the file that makes it lies in that folder.
set -euo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../launcher/shell_common.sh"

work=$root/build/fuzz/container
cd "$root"
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target container_fuzz
mkdir -p "$work"
build/fuzz/tests/bin/container_fuzz -max_total_time="${1:-600}" -max_len=1000 -timeout=20 \
  -malloc_limit_mb=100 -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$work/" "$work" \
  2>&1 | tail -n 12
