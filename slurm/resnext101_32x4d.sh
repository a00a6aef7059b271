#!/usr/bin/env bash
# resnext101_32x4d.sh [key=value ...]: ResNeXt-101 (32x4d) on ImageNet-1K, on whole nodes.
# SPDX-License-Identifier: BSD-3-Clause
#
#   sbatch slurm/resnext101_32x4d.sh
#   LAUNCHER=mpirun STAGE_TO=/local/$USER sbatch --nodes=4 slurm/resnext101_32x4d.sh
#
# Slurm's notice of the time limit or of a preemption (SIGUSR1), as any other request to stop but
# scancel, makes the ranks save and leave; the job is then queued again and goes on from its checkpoint,
# as it is after a lost rank or node, for as long as starts gain checkpoints. What is to run here, and
# how, is the launcher's business: see resnext_launcher run --help.
#SBATCH --job-name=resnext101_32x4d
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --time=48:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -eu
trap 'RESNEXT_ASKED_TO_STOP=1' USR1 USR2 TERM INT HUP # what comes before the launcher runs

# ---- site: change it here, or set these variables when submitting ---------------------------
: "${SETUP:=}"                                      # e.g. "module load openmpi cuda"
: "${RESNEXT_BIN:=$SLURM_SUBMIT_DIR/build/cuda/bin}"  # where resnext_launcher is
: "${CONFIG:=$SLURM_SUBMIT_DIR/configs/resnext101_32x4d.yaml}"
: "${DATA:=$SLURM_SUBMIT_DIR/datasets/imagenet}"  # containers, made by resnext_data
: "${OUTPUT:=runs/resnext101_32x4d}"  # run folder, on a file system that all nodes share
: "${LAUNCHER:=srun}"   # srun (Slurm with PMIx) or mpirun
: "${STAGE_TO:=}"       # folder of a node's own disk to copy the data to; empty: read it in place
: "${INTERFACE:=}"      # network interface between nodes, e.g. ib0; empty: found by itself
# ---------------------------------------------------------------------------------------------
eval "$SETUP"
export SLURM_EXPORT_ENV=ALL  # mpirun's helpers need it when submitted with --export=NONE
export RESNEXT_ASKED_TO_STOP="${RESNEXT_ASKED_TO_STOP:-}"
exec "$RESNEXT_BIN/resnext_launcher" run "$CONFIG" --requeue --launcher "$LAUNCHER" \
  ${INTERFACE:+--interface "$INTERFACE"} ${STAGE_TO:+--stage-to "$STAGE_TO"} \
  --rank-logs "$OUTPUT/logs/$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}" \
  "data.train=$DATA/train.h5" "data.validation=$DATA/val.h5" "run.output=$OUTPUT" "$@"
