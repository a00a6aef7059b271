#!/usr/bin/env bash
# kill_storm.sh BIN TESTBIN: kills a rank again and again under `run --max-restarts`, and compares.
# SPDX-License-Identifier: BSD-3-Clause
#
# KILL_STORM_SECONDS (default 20) of training, a kill -9 of one rank every KILL_STORM_EVERY (default 5)
# seconds. The run must finish, with the weights of a run that nobody disturbed. Prints which share of
# the time went into steps that counted (each step once); with KILL_STORM_SHARE=90 less is a failure.
set -euo pipefail
bin=$1 testbin=$2
seconds=${KILL_STORM_SECONDS:-20} every=${KILL_STORM_EVERY:-5} share=${KILL_STORM_SHARE:-0}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
launcher=''
clean_up() {
  if [ -n "$launcher" ]; then kill -INT "$launcher" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap clean_up EXIT
export OMP_NUM_THREADS=1

# start OUTPUT STEPS [launcher options]
start() {
  local output=$1 steps=$2
  shift 2
  timeout --signal=INT $((4 * seconds + 60)) "$bin/resnext_launcher" run "$root/configs/tiny.yaml" -n 2 "$@" "data.train=$work/train.h5" \
    data.size=16 data.resize=16 data.recipe=none run.epochs=1000000 "run.steps=$steps" \
    checkpoint.every_epochs=0 checkpoint.every_steps=60 log.every_steps=1 comm.timeout_s=20 \
    "run.output=$work/$output" >"$work/$output.log" 2>&1
}

# Milliseconds that the steps of a run took, each counted once.
step_ms() {
  python3 - "$work/$1/metrics.jsonl" <<'PYTHON'
import json, sys
steps = {}
batch = 0
for line in open(sys.argv[1]):
    row = json.loads(line)
    if row["event"] == "start":
        batch = row["global_batch"]
    elif row["event"] == "train":
        steps[row["step"]] = batch * 1000 / row["images_per_second"]
print(round(sum(steps.values())), round(1000 * sum(steps.values()) / len(steps)))
PYTHON
}

# The ranks of the run, by the folder that only they and mpirun have in their command lines.
ranks() { pgrep -f "^$bin/resnext_worker .*run.output=$work/storm" || true; }

newest() { find "$work/storm/checkpoints" -maxdepth 1 -name 'step-*' ! -name '*partial*' 2>/dev/null | sort | tail -n 1; }

"$testbin/make_tiny_data" "$work/train.h5" 960
start warm_up 100
read -r _ step_us < <(step_ms warm_up)
steps=$((seconds * 1000000 / step_us))
begin=$(date +%s%N)
start storm "$steps" --max-restarts 1000 --backoff 0 &
launcher=$!
last=''
while sleep "$every" && kill -0 "$launcher" 2>/dev/null; do
  [ "$(newest)" != "$last" ] || continue # on a busy machine: without a step gained it would give up
  last=$(newest)
  kill -9 "$(ranks | shuf -n 1)" 2>/dev/null || true
done &
killer=$!
if ! wait "$launcher"; then
  kill "$killer" 2>/dev/null || true
  # shellcheck disable=SC2009 # for people to read
  ps -o pid,stat,args --forest | grep resnext >&2 || true
  tail -n 30 "$work/storm.log" >&2
  exit 1
fi
wall_ms=$((($(date +%s%N) - begin) / 1000000))
launcher=''
wait "$killer" 2>/dev/null || true
restarts=$(grep -c 'restart [0-9]* of' "$work/storm.log" || true)
start undisturbed "$steps"
model=checkpoints/$(printf 'step-%08d' "$steps")/model.pt
cmp "$work/undisturbed/$model" "$work/storm/$model" || { echo "the weights differ" >&2; exit 1; }
read -r useful_ms _ < <(step_ms storm)
percent=$((100 * useful_ms / wall_ms))
echo "$steps steps, $restarts restarts, $((wall_ms / 1000)) s, $percent % of it in steps; same weights"
[ "$restarts" -gt 0 ] || { echo "no rank was killed" >&2; exit 1; }
[ "$percent" -ge "$share" ] || { echo "less than $share % of the time was spent training" >&2; exit 1; }
