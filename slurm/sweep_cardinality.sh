#!/usr/bin/env bash
# sweep_cardinality.sh SWEEP.yaml [key=value ...]: one trial of a sweep for each task of the array.
# SPDX-License-Identifier: BSD-3-Clause
#
#   resnext_launcher sweep configs/sweeps/cardinality_resnext50.yaml --slurm
#   sbatch --array=0-4%2 slurm/sweep_cardinality.sh configs/sweeps/cardinality_resnext50.yaml
#
# The first form submits those trials that are neither finished nor queued, as they are now: the file
# may be edited afterwards. Its options (-n, --launcher, --stage-to, --max-restarts) win over those here.
#
# Slurm's notice of the time limit or of a preemption (SIGUSR1), as any other request to stop but
# scancel, makes the ranks save and leave; the job is then queued again and goes on from its checkpoint,
# as it is after a lost rank or node, for as long as starts gain checkpoints. What is to run here, and
# how, is the launcher's business: see resnext_launcher sweep --help.
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

# ---- site: change it here, or set these variables when submitting ---------------------------
: "${SETUP:=}"                                      # e.g. "module load openmpi cuda"
: "${RESNEXT_BIN:=$SLURM_SUBMIT_DIR/build/cuda/bin}"  # where resnext_launcher is
: "${LAUNCHER:=srun}"   # srun (Slurm with PMIx) or mpirun
: "${STAGE_TO:=}"       # folder of a node's own disk to copy the data to; empty: read it in place
# ---------------------------------------------------------------------------------------------
eval "$SETUP"
export SLURM_EXPORT_ENV=ALL  # mpirun's helpers need it when submitted with --export=NONE
export RESNEXT_ASKED_TO_STOP="${RESNEXT_ASKED_TO_STOP:-}"
exec "$RESNEXT_BIN/resnext_launcher" sweep --launcher "$LAUNCHER" \
  ${STAGE_TO:+--stage-to "$STAGE_TO"} "$@" --trial "$SLURM_ARRAY_TASK_ID" --requeue
