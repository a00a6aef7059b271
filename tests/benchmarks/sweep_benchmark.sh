#!/usr/bin/env bash
# sweep_benchmark.sh LAUNCHER [TRIALS [LINES]]: what a large sweep costs its launcher.
# SPDX-License-Identifier: BSD-3-Clause
#
# Makes a sweep of 1,000 trials with 1,000 logged steps each, all but two of them finished, and prints
# how long the launcher takes for one task of its array (less the trial itself, which is a program that
# does nothing), for the end of a trial inside a whole sweep, for its status and for its report, and how
# large the page is. SWEEP_BENCHMARK_KEEP=DIR keeps the sweep.
set -euo pipefail
launcher=$(realpath "$1") trials=${2:-1000} lines=${3:-1000}
work=${SWEEP_BENCHMARK_KEEP:-$(mktemp -d)}
[ -n "${SWEEP_BENCHMARK_KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/libexec" && cd "$work"
cp "$(dirname "$launcher")/../libexec/resnext_launcher_program" libexec/
cp "$launcher" bin/
printf '#!/bin/sh\nexit 0\n' >bin/resnext_worker && chmod +x bin/resnext_worker
echo 'run: {epochs: 90}' >base.yaml
python3 - "$trials" "$lines" <<'PYTHON'
import json, math, os, sys
trials, lines = int(sys.argv[1]), int(sys.argv[2])
rates = [round(0.01 * (i + 1), 4) for i in range(trials)]
open("s.yaml", "w").write("base: base.yaml\noutput: out\ngrid: {optimizer.base_lr: %s}\n" % rates)
os.makedirs("out")
json.dump({"sweep": "s", "trials": []}, open("out/sweep.json", "w"))
for i, rate in enumerate(rates[:-2]):
    name = "base_lr%g" % rate
    os.makedirs("out/" + name, exist_ok=True)
    with open(f"out/{name}/metrics.jsonl", "w") as f:
        say = lambda **event: f.write(json.dumps(event, separators=(",", ":")) + "\n")
        say(event="start", step=0, world_size=8, backend="nccl", device="cuda", threads=1, global_batch=256,
            effective_lr=rate, parameters=25028904, gmac=4.23, steps_per_epoch=lines // 20 or 1, total_steps=lines * 10)
        for k in range(1, lines + 1):
            loss = 7 * math.exp(-k * (1 + i / trials) / lines * 2) + 0.1 * math.sin(k * 12.9898 + i) ** 2
            say(event="train", step=k * 10, epoch=k * 20 // lines, loss=loss, lr=rate * (1 - k / lines),
                images_per_second=2900.123456 + k % 7, data_wait_ms=0.123456, forward_ms=28.123456,
                backward_ms=52.123456, exposed_comm_ms=3.123456, optimizer_ms=1.123456, skipped=0, tally="%016x" % k)
            if k % max(1, lines // 20) == 0:
                say(event="validation", step=k * 10, epoch=k * 20 // lines - 1, loss=loss, top1=100 - 12 * loss,
                    top5=100 - 4 * loss, images=50000)
        say(event="end", step=lines * 10, exit_code=0)
PYTHON
launch() { "$work/bin/resnext_launcher" "$@" >>log 2>&1; }
seconds() {
  local begin=$EPOCHREALTIME
  "$@" || true
  printf '%s\n' "$begin $EPOCHREALTIME" | awk '{printf "%.3f", $2 - $1}'
}
say() { printf '%-58s %s\n' "$1" "$2"; }
say "$trials trials x $lines logged steps, nproc $(env -u OMP_NUM_THREADS nproc), load" "$(cut -d' ' -f1 /proc/loadavg)"
say "first start: expand, look at all trials, run 2 (s)" "$(seconds launch sweep s.yaml -n 1)"
say "again: nothing finished in between (s)" "$(seconds launch sweep s.yaml -n 1)"
mkdir fake
printf '#!/bin/sh\necho 1\n' >fake/sbatch
printf '#!/bin/sh\n' >fake/squeue
chmod +x fake/*
PATH=$work/fake:$PATH launch sweep s.yaml --slurm --script job.sh
snapshot=$(ls out/snapshot-*.json)
last=out/$(python3 -c "print('base_lr%g' % ($trials * 0.01))")
say "task of an array, the trial included (s)" "$(seconds launch sweep "$snapshot" -n 1 --trial $((trials - 1)))"
say "the trial alone (s)" "$(seconds launch run "$last/trial.yaml" -n 1)"
say "status (s)" "$(seconds launch sweep status out)"
say "report (s)" "$(seconds launch report out -o page)"
say "report.html (MB)" "$(stat -c %s page/report.html 2>/dev/null | awk '{printf "%.2f", $1 / 1e6}')"
