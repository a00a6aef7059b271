#!/usr/bin/env bash
# run.sh [--cpu|--cuda|--asan|--tsan] [ctest arguments]: fresh machine to green tests.
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs what is missing, builds the preset with its tests, and ends with ctest's own closing line
# and exit code. The default is the CUDA build where the toolkit is found (it needs no GPU), else the
# CPU's. Where the toolkit is there, Python's torch is installed too, for the tests that compare with
# it. A warning of the compiler is an error, but under
# sanitizers; RESNEXT_WERROR=OFF lets it pass.
set -euo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../launcher/shell_common.sh"

preset=''
case ${1:-} in --cpu | --cuda | --asan | --tsan) preset=${1#--} && shift ;; esac
target=--cpu python=''
if [ -z "$(cuda_missing)" ]; then python=--python preset=${preset:-cuda}; fi
preset=${preset:-cpu}
case $preset in cpu | cuda) export RESNEXT_WERROR=${RESNEXT_WERROR:-ON} ;; esac

stage "set-up"
if [ "$preset" = cuda ]; then target=--cuda; fi
"$root/launcher/setup.sh" "$target" --tests ${python:+"$python"}
stage "build ($preset)"
"$root/launcher/build.sh" "$preset"
stage "tests"
# Sanitizers look at our code only: Open MPI keeps what it allocates until the process ends, in plugins
# that it has unloaded by then, and takes its locks in two orders.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
export TSAN_OPTIONS=${TSAN_OPTIONS:-ignore_noninstrumented_modules=1}
cd "$root/build/$preset"
exec ctest --output-on-failure --parallel "$(core_count)" "$@"
