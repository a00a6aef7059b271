#!/usr/bin/env bash
# resnext101_64x4d.sh [key=value ...]: ResNeXt-101 (64x4d) on ImageNet-1K, on whole nodes.
# SPDX-License-Identifier: BSD-3-Clause
#
#   sbatch --account=... slurm/resnext101_64x4d.sh
#   LAUNCHER=mpirun STAGE_TO=/local/$USER sbatch --nodes=4 slurm/resnext101_64x4d.sh
#
# CONFIG, DATA and OUTPUT, and what job_body.sh names, may be set when submitting. See the README, Slurm.
#SBATCH --job-name=resnext101_64x4d
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

: "${CONFIG:=$SLURM_SUBMIT_DIR/configs/resnext101_64x4d.yaml}"
: "${DATA:=$SLURM_SUBMIT_DIR/datasets/imagenet}" # containers, made by resnext_data
: "${OUTPUT:=runs/resnext101_64x4d}" # run folder, on a file system that all nodes share
# Slurm runs a copy of this script: its own folder is known to scontrol only.
here=${RESNEXT_SLURM:-$(scontrol show job "$SLURM_JOB_ID" | sed -n '/^ *Command=/{s|^ *Command=\(.*\)/[^/]*\.sh\( .*\)\{0,1\}$|\1|p;q}')}
[ -r "$here/job_body.sh" ] || here=$SLURM_SUBMIT_DIR/slurm
# shellcheck source=slurm/job_body.sh
. "$here/job_body.sh"
train "$CONFIG" "$DATA" val.h5 "$OUTPUT" "$@"
