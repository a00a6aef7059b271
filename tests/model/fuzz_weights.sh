#!/usr/bin/env bash
# fuzz_weights.sh [SECONDS]: fuzzes the readers of .pt, .safetensors and .t7, each so long (600), with libFuzzer, ASan and UBSan.
# SPDX-License-Identifier: BSD-3-Clause
#
# Needs clang++ with libFuzzer (Debian: clang, libclang-rt-14-dev). What is found stays in
# build/fuzz/weights/FORMAT/; a crash stops it, and the file that makes it lies in that folder.
set -euo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../launcher/shell_common.sh"

seconds=${1:-600}
here=$root/tests/model/weights
work=$root/build/fuzz/weights
cd "$root"
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target weights_fuzz

mkdir -p "$work"/{pt,safetensors,t7}
cp "$here"/golden/checkpoints/* "$work/pt"
cp "$here"/golden/*.pt "$here"/golden/*.pth "$work/pt"
cp "$here"/golden/*.safetensors "$work/safetensors"
python3 -B "$here/make_t7.py" "$work/made"
cp "$work"/made/*.t7 "$work/t7"
cp "$work"/made/*.safetensors "$work/safetensors"
for format in pt safetensors t7; do
  say "== $format for $seconds s"
  build/fuzz/tests/bin/weights_fuzz -max_total_time="$seconds" -max_len=300000 -timeout=20 \
    -malloc_limit_mb=100 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$work/$format/" "$work/$format" 2>&1 | tail -n 12
done
