#!/usr/bin/env bash
# core_count_test.sh SHELL_COMMON: cores are counted from the affinity mask, whatever OpenMP's variables say.
# SPDX-License-Identifier: BSD-3-Clause
set -euo pipefail
want=$(python3 -c 'import os; print(len(os.sched_getaffinity(0)))')
for threads in 1 64; do
  # shellcheck disable=SC2016
  got=$(OMP_NUM_THREADS=$threads OMP_THREAD_LIMIT=$threads bash -c '. "$1"; core_count' core_count "$1")
  [ "$got" = "$want" ] || { echo "$got cores with OMP_NUM_THREADS=$threads, the mask has $want" >&2; exit 1; }
done
