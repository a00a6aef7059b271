#!/usr/bin/env bash
# slurm_test.sh CASE BIN TESTBIN: submits the job scripts to a real Slurm on this one machine.
# SPDX-License-Identifier: BSD-3-Clause
#
# Cases, in this order: start, complete, preempt, requeue, signals, crash, crash_srun, cancel, sweep, stop. Jobs run
# the tiny network on 2 nodes x 2 ranks; whatever disturbs a job, its last weights are those of `complete`.
# As root; packages: slurmctld slurmd slurm-client munge libpmix-dev.
set -euo pipefail
case=$1 bin=$2 testbin=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cluster=${TMPDIR:-/tmp}/resnext-slurm-$(printf '%s' "$bin" | cksum | cut -d' ' -f1)
work=$cluster/work
job=''

fail() {
  echo "slurm_test.sh: $*" >&2
  if [ -n "$job" ]; then scontrol show job "$job" >&2 || true; fi
  tail -n 15 "$work"/*.log >&2 || true
  exit 1
}

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}

field() { scontrol -o show job "$job" | grep -o "\b$1=[^ ]*" | head -n 1 | cut -d= -f2; }
is() { [ "$(field "$1")" = "$2" ]; }
has_ended() { case $(field JobState) in PENDING | RUNNING | COMPLETING | REQUEUED | PREEMPTED) return 1 ;; esac; }
newest_step() { find "$1/checkpoints" -maxdepth 1 -name 'step-*' ! -name '*partial*' 2>/dev/null | sort | tail -n 1; }
has_reached() { [[ $(newest_step "$1") > $1/checkpoints/step-$2 ]]; }

# submit OUTPUT [sbatch options]: the tiny preset through the job script of the large network.
submit() {
  local output=$1
  shift
  job=$(CONFIG=$root/configs/tiny.yaml DATA=$work OUTPUT=$work/$output RESNEXT_BIN=$bin sbatch --parsable \
    --nodes=2 --ntasks-per-node=2 --gpus-per-node=2 --cpus-per-task=1 --time=10 "$@" \
    "$root/slurm/resnext101_64x4d.sh" data.size=16 data.resize=16 run.epochs=1000 run.steps=600 \
    checkpoint.every_epochs=0 checkpoint.every_steps=10 comm.timeout_s=20)
}

expect_completed() {
  until_true 200 has_ended || fail "job $job does not end"
  is JobState COMPLETED || fail "job $job is $(field JobState), not COMPLETED"
}

expect_same_weights() {
  cmp "$work/complete/checkpoints/step-00000600/model.pt" "$1/checkpoints/step-00000600/model.pt" ||
    fail "$1 ended with other weights than the undisturbed run"
}

expect_restarts() { is Restarts "$1" || fail "$(field Restarts) restarts, not $1"; }

# lose_a_node LAUNCHER: a node without the batch script loses power and comes back.
lose_a_node() {
  # Without GPUs: Slurm 22.05 loses count of them when a requeued job's node reboots.
  LAUNCHER=$1 submit "$case" --gpus-per-node=0
  until_true 60 has_reached "$case" 00000010 || fail "no checkpoint"
  "$here/cluster.sh" crash "$cluster" node2
  "$here/cluster.sh" boot "$cluster" node2
  expect_completed
  # Once for the lost step, and perhaps again for the node that Slurm sees reboot.
  [ "$(field Restarts)" -ge 1 ] || fail "it was not restarted"
  expect_same_weights "$case"
}

if [ "$case" != start ]; then
  eval "$("$here/cluster.sh" env "$cluster")"
  export PATH=$PATH:/usr/sbin
  cd "$work"
fi

case $case in
  start)
    "$here/cluster.sh" stop "$cluster"
    rm -rf "$cluster"
    EMU_NODE_TIMEOUT=15 EMU_REQUEUE_WAIT=6 "$here/cluster.sh" start "$cluster"
    mkdir -p "$work"
    "$testbin/make_tiny_data" "$work/train.h5" 96
    "$testbin/make_tiny_data" "$work/val.h5" 32
    ;;
  complete)
    submit complete
    expect_completed
    expect_restarts 0
    [ "$(find "$work"/complete/logs -name 'rank-*.log' | wc -l)" = 4 ] || fail "there are not 4 rank logs"
    ;;
  preempt) # a job of a better partition takes the nodes
    LAUNCHER=mpirun submit preempt --partition=spot
    until_true 60 has_reached preempt 00000010 || fail "no checkpoint"
    sbatch --parsable --nodes=2 --exclusive --partition=main --output=/dev/null --wrap='sleep 1' >/dev/null
    expect_completed
    expect_restarts 1
    expect_same_weights preempt
    ;;
  requeue) # an administrator sends the job back into the queue
    submit requeue
    until_true 60 has_reached requeue 00000010 || fail "no checkpoint"
    scontrol requeue "$job"
    expect_completed
    expect_restarts 1
    expect_same_weights requeue
    ;;
  signals) # any request to stop, at any moment of the launcher's life: saved, and queued again once
    moments=${SLURM_SIGNAL_MOMENTS:-4} span=${SLURM_SIGNAL_SPAN_MS:-3000}
    signals=(TERM INT USR1 USR2 HUP) launchers=(mpirun srun) receivers=(--batch --batch --full --full)
    launcher_runs() { pgrep -f "^[^ ]*resnext_launcher run .*run.output=$work/$output " >/dev/null; }
    for ((i = 0; i < moments; ++i)); do
      output=signals-$i ms=$((span * i / moments)) signal=${signals[i % 5]}
      launcher=${launchers[i % 2]} receiver=${receivers[i % 4]}
      LAUNCHER=$launcher submit "$output"
      until_true 60 launcher_runs || fail "job $job does not run"
      sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
      scancel "$receiver" "--signal=$signal" "$job"
      expect_completed
      is Restarts 1 || fail "$(field Restarts) restarts, not 1: $launcher, $receiver SIG$signal at $ms ms"
      expect_same_weights "$output"
      rm -rf "${work:?}/$output"
    done
    ;;
  crash) lose_a_node mpirun ;;
  crash_srun) lose_a_node srun ;; # ranks that Slurm itself has started
  cancel) # somebody's scancel is final
    submit cancel
    until_true 60 has_reached cancel 00000010 || fail "no checkpoint"
    scancel "$job"
    until_true 60 has_ended || fail "job $job does not end"
    is JobState CANCELLED || fail "job $job is $(field JobState), not CANCELLED"
    expect_restarts 0
    ;;
  sweep) # submitted twice, edited, cancelled, submitted again
    # shellcheck source=tests/slurm/sweep_life.sh
    . "$here/sweep_life.sh"
    sweep_life
    ;;
  stop)
    cd /
    "$here/cluster.sh" stop "$cluster"
    rm -rf "$cluster"
    ;;
  *) fail "unknown case $case" ;;
esac
