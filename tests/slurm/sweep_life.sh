# The case `sweep` of slurm_test.sh: a sweep that is submitted twice, edited and cancelled on the way.
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Five cardinalities at equal parameters, successive halving behind them; with SLURM_SWEEP_TRIALS=54
# six cardinalities x three rates x three seeds, without halving. Every trial is trained once, to the
# figures that it has when it is run by itself, and the leaderboard is full.

: "${root:?}" "${here:?}" "${work:?}" "${bin:?}" # slurm_test.sh's

# write_sweep PART: the sweep file, `first` a part of its trials, `whole` all.
write_sweep() {
  local cardinalities='[1, 2, 4, 8, 16]' rates='[0.05]' repeats=1 stop='stop: {rungs: [1], keep: 0.6}'
  if [ "$trials" = 54 ]; then
    cardinalities='[1, 2, 3, 4, 8, 16]' rates='[0.02, 0.05, 0.1]' repeats=3 stop=''
    [ "$1" = whole ] || rates='[0.02, 0.05]'
  else
    [ "$1" = whole ] || cardinalities='[1, 2, 4]'
  fi
  sed -e "s|^base:.*|base: $root/configs/tiny.yaml|" -e "s|^repeats:.*|repeats: $repeats|" -e "s|^stop:.*|$stop|" \
    -e "s|model.cardinality: \[.*|model.cardinality: $cardinalities|" \
    -e "s|optimizer.base_lr: \[.*|optimizer.base_lr: $rates|" "$here/sweep.yaml" >"$work/sweep.yaml"
}

submit_sweep() {
  RESNEXT_BIN=$bin "$bin/resnext_launcher" sweep "$work/sweep.yaml" --slurm --parallel 2 \
    --script "$root/slurm/sweep_cardinality.sh" --sbatch=--ntasks-per-node=2 --sbatch=--gpus-per-node=2 \
    --sbatch=--cpus-per-task=1 --sbatch=--time=10 "data.train=$work/train.h5" "data.validation=$work/val.h5"
}

submissions() { grep -c '"job"' "$work/runs/submissions.json"; }
none_queued() { [ -z "$(squeue -h -n sweep_cardinality)" ]; }
finished() { grep -c ',finished,' "$work/runs/leaderboard.csv" 2>/dev/null || true; }
has_trained() { compgen -G "$work/runs/*/metrics.jsonl" >/dev/null; }

some_finished() {
  [ "$(find "$work/runs" -maxdepth 2 -name metrics.jsonl -exec grep -l '"end"' {} + | wc -l)" -ge $((trials / 5)) ]
}

sweep_life() {
  trials=${SLURM_SWEEP_TRIALS:-5}
  write_sweep first
  submit_sweep
  local first
  first=$(submissions)
  submit_sweep # again: all are queued
  [ "$(submissions)" = "$first" ] || fail "trials in the queue were submitted again"
  until_true 150 has_trained || fail "no trial runs"
  write_sweep whole # edited while it runs
  submit_sweep
  [ "$(submissions)" -gt "$first" ] || fail "the new trials were not submitted"
  until_true 300 some_finished || fail "no trial comes to an end"
  scancel --name=sweep_cardinality # stopped in the middle
  until_true 60 none_queued || fail "the array is not cancelled"
  submit_sweep # what is left
  until_true $((150 + 20 * trials)) none_queued || fail "the arrays do not end"
  cat "$work/runs/leaderboard.csv"
  "$bin/resnext_launcher" sweep status "$work/runs"
  python3 "$here/check_sweep.py" "$work/runs" "$trials" || fail "the sweep is not as it should be"
  alone
}

# A trial by itself has the same weights, to the last bit.
alone() {
  local trial newest
  trial=$(sed -n '2s/,.*//p' "$work/runs/leaderboard.csv")
  "$bin/resnext_launcher" run "$work/runs/$trial/trial.yaml" -n 2 --launcher mpirun "run.output=$work/alone"
  newest=$(readlink -f "$work/alone/checkpoints/latest")
  cmp "$newest/model.pt" "$work/runs/$trial/checkpoints/$(basename "$newest")/model.pt" ||
    fail "$trial ended with other weights than by itself"
}
