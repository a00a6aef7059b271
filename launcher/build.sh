#!/usr/bin/env bash
# build.sh PRESET [TARGET...]: configures and builds one preset and points build/bin at its programs.
# SPDX-License-Identifier: BSD-3-Clause
set -euo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/shell_common.sh"

# A file that includes LibTorch's headers takes up to 2 GB to compile: no more jobs than fit.
jobs_that_fit() {
  local cores memory
  cores=$(core_count)
  memory=$(awk '/^MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  if [ "$memory" -lt "$cores" ]; then cores=$((memory > 0 ? memory : 1)); fi
  say "$cores"
}

preset=${1:?usage: build.sh PRESET [TARGET...]}
shift
cd "$root"
log=build/$preset.configure.log
mkdir -p build
cmake --preset "$preset" ${RESNEXT_LIBTORCH:+"-DRESNEXT_LIBTORCH=$RESNEXT_LIBTORCH"} \
  ${RESNEXT_WERROR:+"-DRESNEXT_WERROR=$RESNEXT_WERROR"} \
  >"$log" 2>&1 || { cat "$log" >&2 && die "cmake --preset $preset failed"; }
NINJA_STATUS='[%f/%t, %e s] ' cmake --build --preset "$preset" --parallel "$(jobs_that_fit)" \
  ${1:+--target "$@"}
ln -sfn "$preset/bin" build/bin
