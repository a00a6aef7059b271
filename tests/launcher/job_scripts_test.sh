#!/usr/bin/env bash
# job_scripts_test.sh SLURM_FOLDER: the job scripts as Slurm runs them, a copy elsewhere, without a Slurm.
# SPDX-License-Identifier: BSD-3-Clause
set -euo pipefail
scripts=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "$*" >&2
  exit 1
}

# A project as the README's two commands leave it, with a launcher that tells its words; and Slurm's copy.
mkdir -p "$work/a project/slurm" "$work/a project/build/bin" "$work/spool" "$work/bin" "$work/elsewhere"
cp "$scripts"/*.sh "$work/a project/slurm/"
cp -r "$scripts/../configs" "$work/a project/"
# shellcheck disable=SC2016
printf '#!/bin/sh\nprintf "[%%s]" "$0" "$@"\n' >"$work/a project/build/bin/resnext_launcher"
chmod +x "$work/a project/build/bin/resnext_launcher"
job() {
  local submitted=$1 script=$2
  shift 2
  cp "$scripts/$script" "$work/spool/slurm_script"
  local told="   Command=$work/a project/slurm/$script data.train=/a/b c"
  # Twice: asked for the last task of an array, Slurm tells of all.
  printf '#!/bin/sh\nprintf "%%s\\n" "%s" "%s"\n' "$told" "$told" >"$work/bin/scontrol"
  chmod +x "$work/bin/scontrol"
  env -u RESNEXT_BIN PATH="$work/bin:$PATH" SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID=3 \
    SLURM_SUBMIT_DIR="$submitted" "${settings[@]}" bash "$work/spool/slurm_script" "$@" 2>&1
}
for script in "$scripts"/{resnext,cifar,sweep}*.sh; do
  [ "$(grep -c '^#SBATCH' "$script")" = 10 ] || fail "$script has lost some of what it asks of Slurm"
done
bin="$work/a project/build/bin/resnext_launcher"
settings=(A=1)
for script in resnext50_32x4d resnext101_32x4d resnext101_64x4d cifar_resnext29; do
  out=$(job "$work/a project" $script.sh run.seed=2) || fail "$script: $out"
  case $out in
    "[$bin][run][$work/a project/configs/"*"[--requeue][--launcher][srun][--rank-logs]"*"[run.seed=2]") ;;
    *) fail "$script: $out" ;;
  esac
done
out=$(job "$work/elsewhere" sweep_cardinality.sh s.yaml) || fail "submitted elsewhere: $out"
[ "$out" = "[$bin][sweep][--launcher][srun][s.yaml][--trial][3][--requeue]" ] || fail "sweep: $out"

settings=("RESNEXT_BIN=$work/none")
code=0
out=$(job "$work/a project" resnext50_32x4d.sh) || code=$?
[ $code = 64 ] || fail "ended with $code without a launcher"
case $out in *"$work/none: build it"*"set RESNEXT_BIN"*) ;; *) fail "no remedy: $out" ;; esac
