#!/usr/bin/env bash
# recipe_cost.sh [BUILD [ROUNDS [STEP_OPTIONS...]]]: what recipes cost beside plain SGD, in turn on a quiet machine.
# SPDX-License-Identifier: BSD-3-Clause
#
# One rank and one thread; BUILD is build/bin's folder unless named, ROUNDS 3, and the options (--batch
# 32 --size 96 --steps 3 --warmup 1) are step_benchmark's. Prints the median step and optimizer time of ResNeXt-50
# for each, and the ratio of the step's medians to plain SGD's.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:-$(readlink -f "$root/build/bin")/..} rounds=${2:-3}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
options=("$@")
[ $# -gt 0 ] || options=(--batch 32 --size 96 --steps 3 --warmup 1)
export OMP_NUM_THREADS=1

seed=$root/configs/resnext50_32x4d.yaml
recipes=(
  "plain SGD|$seed"
  "EMA every 32 steps|$seed ema.decay=0.998908 ema.every_steps=32"
  "clipping|$seed optimizer.clip_norm=1"
  "stochastic depth|$seed model.stochastic_depth=0.05"
  "mixup, CutMix, BCE|$seed mix.mixup=0.2 mix.cutmix=1 optimizer.loss=bce"
  "AdamW|$seed optimizer.kind=adamw"
  "LARS|$seed optimizer.kind=lars"
  "LAMB|$seed optimizer.kind=lamb"
  "LAMB, clipping|$seed optimizer.kind=lamb optimizer.clip_norm=1"
  "torchvision_v2|$root/configs/torchvision_v2_resnext50_32x4d.yaml"
  "rsb_a1 and EMA|$root/configs/rsb_a1_resnext50_32x4d.yaml ema.decay=0.998908 ema.every_steps=32"
)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

for ((round = 0; round < rounds; ++round)); do
  for i in "${!recipes[@]}"; do
    IFS=' ' read -ra arguments <<<"${recipes[i]#*|}"
    "$build/tests/bin/step_benchmark" "${options[@]}" --json "$out/one" --config "${arguments[@]}" >/dev/null
    python3 -c 'import json, sys; f = json.load(open(sys.argv[1])); print(f["step_ms"], f["optimizer_ms"])' \
      "$out/one" >>"$out/$i"
  done
done
printf '%s, %d rounds; load %s\n%-20s %9s %7s %13s\n' "${options[*]}" "$rounds" "$(cut -d' ' -f1 /proc/loadavg)" \
  recipe 'step ms' ratio 'optimizer ms'
median() { cut -d' ' -f"$2" "$1" | sort -g | sed -n "$((rounds / 2 + 1))p"; }
base=$(median "$out/0" 1)
for i in "${!recipes[@]}"; do
  step=$(median "$out/$i" 1)
  printf '%-20s %9.1f %7.3f %13.1f\n' "${recipes[i]%%|*}" "$step" \
    "$(echo "$step $base" | awk '{ print $1 / $2 }')" "$(median "$out/$i" 2)"
done
