#!/usr/bin/env bash
# check.sh [options] [-DNAME=VALUE...]: tests and measures the CUDA build on this machine's GPU.
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the preset cuda for this GPU, runs the tests that need one, then ours, PyTorch and PyTorch
# compiled in turn, and our layers by kind beside their floors: what their arithmetic and traffic
# take at the rates that this card is measured to have. Writes build/gpu_check.json (what was left
# out for want of time stands there too) and all outputs into build/gpu_check. Needs no network.
# Arguments -D... go to CMake. Two calls, the second with --no-tests, fit all of it.
#   --budget S       seconds that it may take (460)
#   --rounds N       of measurements (2)
#   --networks LIST  of DEPTH_CARDINALITYxWIDTHd:BATCH ("50_32x4d:256 101_32x4d:128 101_64x4d:64")
#   --peers LIST     of eager and compile, as PyTorch runs ("eager compile")
#   --compute TYPE   bf16 (default), fp16, tf32 or fp32
#   --no-tests       measures only
# LibTorch is in .deps/libtorch or RESNEXT_LIBTORCH; a Python that imports torch is RESNEXT_PYTHON,
# that of LibTorch's environment, or python3.
# Exit code: 0, 1 when a stage or a test failed, 2 without a GPU, 64 for wrong arguments.
set -uo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../launcher/shell_common.sh"

budget=460 rounds=2 compute=bf16 tests=yes
networks="50_32x4d:256 101_32x4d:128 101_64x4d:64"
peers="eager compile"
settings=()
usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 64
}
while [ $# -gt 0 ]; do
  case $1 in
    --no-tests) tests='' ;;
    -D*) settings+=("$1") ;;
    --budget | --rounds | --networks | --peers | --compute)
      [ $# -gt 1 ] || usage
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    *) usage ;;
  esac
  shift
done
[ "$(gpu_count)" -gt 0 ] || {
  say "check.sh: nvidia-smi shows no GPU on this machine: nothing was tested or measured" >&2
  exit 2
}

build=$root/build/cuda out=$root/build/gpu_check
libtorch=${RESNEXT_LIBTORCH:-$root/.deps/libtorch}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 GTEST_COLOR=no
export TORCHINDUCTOR_CACHE_DIR=$root/build/inductor TRITON_CACHE_DIR=$root/build/inductor/triton
cd "$root" || exit 1
rm -rf "$out"
mkdir -p "$out"

# ---- stages ---------------------------------------------------------------------------------
# note_stage NAME SECONDS CODE NOTE: for the report; CODE is - of what was left out.
note_stage() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$out/stages.tsv"; }

# run_stage NAME NEEDS COMMAND...: runs COMMAND with its output in NAME.log, within what is left of
# the budget; leaves it out when less than NEEDS seconds are. Says how it went.
run_stage() {
  local name=$1 needs=$2 begin=$SECONDS left=$((budget - SECONDS)) code=0 note=''
  shift 2
  if [ "$left" -lt "$needs" ]; then
    note="skipped: may take $needs s, and $left s are left"
    code=-
  else
    timeout -k 5 "$left" "$@" >"$out/$name.log" 2>&1 </dev/null || code=$?
    case $name.$code in  # no fault of a peer that had too little time
      eager.*.124 | compile.*.124) note="stopped: the time was spent" code=- ;;
      *.124 | *.137) note="stopped: the time was spent, or no memory was left" ;;
    esac
  fi
  note_stage "$name" $((SECONDS - begin)) "$code" "$note"
  case $code in
    0) say "   $name: $((SECONDS - begin)) s" ;;
    -) say "   $name: $note" ;;
    *)
      say "   $name: FAILED ($code) after $((SECONDS - begin)) s $note"
      tail -n 25 "$out/$name.log"
      ;;
  esac
  [ "$code" = 0 ]
}

# ---- this machine -----------------------------------------------------------------------------
find_python() {
  local candidate
  for candidate in "${RESNEXT_PYTHON:-}" "$(readlink -f "$libtorch")/../../../bin/python3" python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import torch' 2>/dev/null; then
      say "$candidate"
      return
    fi
  done
  # LibTorch's folder may be no environment's, but whole.
  if PYTHONPATH=$libtorch python3 -c 'import torch' 2>/dev/null; then
    say "env PYTHONPATH=$libtorch python3"
  fi
}

describe_machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader \
    >"$out/gpu.csv" || return
  [ ${#python[@]} -eq 0 ] || "${python[@]}" - >"$out/torch.json" <<'PYTHON'
import json
import torch
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda,
                  "cudnn": torch.backends.cudnn.version(),
                  "nccl": ".".join(map(str, torch.cuda.nccl.version()))}))
PYTHON
}

# ---- measurements -----------------------------------------------------------------------------
# The arguments that step_benchmark and pytorch_gpu.py share, of NETWORK BATCH.
shape_of() {
  local widths=${1#*_}
  printf '%s\n' --depth "${1%%_*}" --cardinality "${widths%%x*}" --base-width \
    "$(tr -d d <<<"${widths#*x}")" --batch "$2" --compute "$compute" --steps 4
}

# Seconds that a measurement may take: what it took before, else a guess. What was compiled once is
# found again.
declare -A took=()
measure() {
  local who=$1 network=$2 batch=$3 round=$4 name=$1.$2.$4 begin=$SECONDS shape command
  local -A guess=([ours]=30 [sums]=90 [phases]=25 [layers]=25 [eager]=30 [compile]=90)
  mapfile -t shape < <(shape_of "$network" "$batch")
  case $who in
    ours) command=("$build/tests/bin/step_benchmark") ;;
    layers) command=("$build/tests/bin/layer_benchmark" --seconds 15) ;;
    sums) command=("$build/tests/bin/step_benchmark" --fused-convolutions) ;;
    phases) command=("$build/tests/bin/step_benchmark" --eager) ;;
    eager) command=("${python[@]}" tests/benchmarks/pytorch_gpu.py) ;;
    compile) command=("${python[@]}" tests/benchmarks/pytorch_gpu.py --compile) ;;
  esac
  run_stage "$name" "${took[$who.$network]:-${guess[$who]}}" \
    "${command[@]}" "${shape[@]}" --json "$out/$name.json" || return
  took[$who.$network]=$((SECONDS - begin + 3))
  if [ "$who" = compile ] && [ "$round" = 1 ]; then took[$who.$network]=40; fi
  tail -n 1 "$out/$name.log"
}

# measure_all ROUND WHO...: each network by each of WHO, in turn.
measure_all() {
  local round=$1 it who
  shift
  for it in $networks; do
    for who in "$@"; do measure "$who" "${it%%:*}" "${it##*:}" "$round"; done
  done
}

# ---- main -----------------------------------------------------------------------------------
build_for() {
  run_stage configure 0 cmake --preset cuda "-DCMAKE_CUDA_ARCHITECTURES=$1-real" \
    "-DRESNEXT_LIBTORCH=$libtorch" ${settings[@]+"${settings[@]}"} &&
    run_stage build 0 cmake --build --preset cuda --parallel "$(core_count)" --target gpu_check
}

run_tests() {
  run_stage tests 60 ctest --test-dir "$build" --label-regex '^gpu$' --output-on-failure \
    --parallel "$(core_count)" --timeout 150
  cp "$build/Testing/Temporary/LastTest.log" "$out/ctest.txt"
}

# What matters most comes first: the time may not be enough for all.
measure_in_rounds() {
  local round who compiled=''
  local -a all=(ours) quick=(ours)
  for who in $peers; do
    all+=("$who")
    if [ "$who" = compile ]; then compiled=yes; else quick+=("$who"); fi
  done
  for round in $(seq "$rounds"); do
    say "== measurements, round $round"
    if [ "$round" = 1 ]; then
      measure_all 1 "${quick[@]}"
      if [ -n "$compiled" ]; then measure_all 1 compile; fi
      measure_all 1 layers
    else
      measure_all "$round" "${all[@]}"
    fi
  done
  say "== phases"
  measure_all 1 phases
  say "== convolutions that take BN's sums"
  measure_all 1 sums
}

read -r -a python < <(find_python)
describe_machine || say "   the machine is not fully described"
if [ ${#python[@]} -eq 0 ]; then
  say "   no Python here imports torch: nothing to compare with (set RESNEXT_PYTHON)"
  note_stage peers 0 - "skipped: no Python imports torch"
  peers=''
fi
say "== build"
if build_for "$(cut -d, -f4 "$out/gpu.csv" | head -n 1 | tr -d ' .')"; then
  ldd "$build/tests/bin/step_benchmark" >"$out/libraries.txt" 2>&1
  if [ -n "$tests" ]; then
    say "== tests"
    run_tests
  fi
  measure_in_rounds
fi
say ""
"${python[@]:-python3}" tests/gpu/gpu_report.py "$out" "$root/build/gpu_check.json"
