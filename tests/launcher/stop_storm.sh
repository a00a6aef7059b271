#!/usr/bin/env bash
# stop_storm.sh BIN TESTBIN: asks runs to stop at many moments of their lives, and compares their ends.
# SPDX-License-Identifier: BSD-3-Clause
#
# STOP_STORM_MOMENTS (default 5) moments from 0 ms to the end of a short run, each with the next of the five
# stop signals, at the worker itself, at a launcher of one rank, of two ranks, and of two ranks whose data
# is copied first. Each must leave with 75 (0 when it was through already), leave no process behind, and,
# started again, end with the weights of a run that nobody disturbed.
set -euo pipefail
bin=$1 testbin=$2
moments=${STOP_STORM_MOMENTS:-5} steps=${STOP_STORM_STEPS:-150} cases=${STOP_STORM_CASES:-worker one two staged}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1
signals=(TERM INT USR1 USR2 HUP)

# start CASE OUTPUT [MS SIGNAL]: the program of a case, which gets a signal MS after its first instructions.
start() {
  local -a how
  case $1 in
    worker) how=("$bin/resnext_worker" "$root/configs/tiny.yaml") ;;
    one) how=("$bin/resnext_launcher" run "$root/configs/tiny.yaml" -n 1) ;;
    two) how=("$bin/resnext_launcher" run "$root/configs/tiny.yaml" -n 2) ;;
    staged) how=("$bin/resnext_launcher" run "$root/configs/tiny.yaml" -n 2 --stage-to "$work/disk-$2") ;;
  esac
  python3 - "${3:-0}" "${4:-}" "${how[@]}" "data.train=$work/train.h5" data.size=16 data.resize=16 \
    data.recipe=none run.epochs=1000000 "run.steps=$steps" checkpoint.every_epochs=0 log.every_steps=50 \
    comm.timeout_s=20 "run.output=$work/$2" >>"$work/$2.log" 2>&1 <<'PYTHON'
import signal, subprocess, sys, time
ms, name, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
number = getattr(signal, "SIG" + name) if name else 0


def is_up(process):
    """Its first instructions have run: before, the system would end it whatever it is."""
    with open(f"/proc/{process.pid}/status") as file:
        masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigBlk", "SigCgt"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


with subprocess.Popen(command) as process:
    if name:
        while not is_up(process):
            pass
        time.sleep(ms / 1000)
        process.send_signal(number)
    try:
        code = process.wait(100)
    except subprocess.TimeoutExpired:
        process.kill()
        code = 99
sys.exit(code if code >= 0 else 128 - code)
PYTHON
}

fail() {
  echo "stop_storm.sh: $*" >&2
  tail -n 20 "$work/$output.log" >&2
  exit 1
}

left_behind() { pgrep -f "run.output=$work/$output" >/dev/null; }

"$testbin/make_tiny_data" "$work/train.h5" 480
model=checkpoints/$(printf 'step-%08d' "$steps")/model.pt
n=0
for case in $cases; do
  begin=$(date +%s%N)
  output=$case
  start "$case" "$case" || fail "$case: exit code $?"
  whole_ms=$((($(date +%s%N) - begin) / 1000000))
  declare -A codes=()
  for ((i = 0; i < moments; ++i)); do
    output=$case-$i signal=${signals[n++ % 5]} ms=$((whole_ms * i / moments))
    code=0
    start "$case" "$output" "$ms" "$signal" || code=$?
    case $code in 0 | 75) ;; *) fail "$case: SIG$signal after $ms of $whole_ms ms: exit code $code" ;; esac
    ! left_behind || fail "$case: SIG$signal after $ms ms: processes are left"
    codes[$code]=$((${codes[$code]:-0} + 1))
    start "$case" "$output" || fail "$case, stopped after $ms ms: exit code $? at the second start"
    cmp "$work/$case/$model" "$work/$output/$model" || fail "$case, stopped after $ms ms: other weights"
    rm -rf "${work:?}/$output" "${work:?}/disk-$output"
  done
  echo "$case: $moments moments in $whole_ms ms: ${codes[75]:-0} x 75, ${codes[0]:-0} x 0; same weights"
  [ "${codes[75]:-0}" -gt 0 ] || fail "$case: nothing was ever stopped"
  unset codes
done
