#!/usr/bin/env bash
# sweep_cardinality.sh SWEEP.yaml [key=value ...]: one trial of a sweep for each task of the array.
# SPDX-License-Identifier: BSD-3-Clause
#
#   resnext_launcher sweep configs/sweeps/cardinality_resnext50.yaml --slurm
#   sbatch --array=0-4%2 slurm/sweep_cardinality.sh configs/sweeps/cardinality_resnext50.yaml
#
# The first form submits those trials that are neither finished nor queued, as they are now: the file
# may be edited afterwards. Its options (-n, --launcher, --stage-to, --max-restarts) win over those here.
# What job_body.sh names may be set when submitting. See the README, Slurm.
#SBATCH --job-name=sweep_cardinality
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --time=48:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.log
set -eu
trap 'RESNEXT_ASKED_TO_STOP=1' USR1 USR2 TERM INT HUP # what comes before the launcher runs

# Slurm runs a copy of this script: its own folder is known to scontrol only, which tells of all tasks
# of an array when asked for its last one.
here=${RESNEXT_SLURM:-$(scontrol show job "$SLURM_JOB_ID" | sed -n '/^ *Command=/{s|^ *Command=\(.*\)/[^/]*\.sh\( .*\)\{0,1\}$|\1|p;q}')}
[ -r "$here/job_body.sh" ] || here=$SLURM_SUBMIT_DIR/slurm
# shellcheck source=slurm/job_body.sh
. "$here/job_body.sh"
launch sweep --launcher "$LAUNCHER" ${STAGE_TO:+--stage-to "$STAGE_TO"} "$@" \
  --trial "$SLURM_ARRAY_TASK_ID" --requeue
