#!/usr/bin/env bash
# cifar_resnext29.sh [key=value ...]: ResNeXt-29 (8x64d) on CIFAR-10; CONFIG names another.
# SPDX-License-Identifier: BSD-3-Clause
#
#   sbatch --account=... slurm/cifar_resnext29.sh
#   LAUNCHER=mpirun STAGE_TO=/local/$USER sbatch --nodes=4 slurm/cifar_resnext29.sh
#
# CONFIG, DATA and OUTPUT, and what job_body.sh names, may be set when submitting. See the README, Slurm.
#SBATCH --job-name=cifar_resnext29
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --gpus-per-node=2
#SBATCH --cpus-per-task=12
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -eu
trap 'RESNEXT_ASKED_TO_STOP=1' USR1 USR2 TERM INT HUP # what comes before the launcher runs

: "${CONFIG:=$SLURM_SUBMIT_DIR/configs/cifar10_resnext29_8x64d.yaml}"
: "${DATA:=$SLURM_SUBMIT_DIR/datasets/cifar10}" # containers, made by resnext_data
: "${OUTPUT:=runs/cifar10_resnext29_8x64d}" # run folder, on a file system that all nodes share
# Slurm runs a copy of this script: its own folder is known to scontrol only.
here=${RESNEXT_SLURM:-$(scontrol show job "$SLURM_JOB_ID" | sed -n '/^ *Command=/{s|^ *Command=\(.*\)/[^/]*\.sh\( .*\)\{0,1\}$|\1|p;q}')}
[ -r "$here/job_body.sh" ] || here=$SLURM_SUBMIT_DIR/slurm
# shellcheck source=slurm/job_body.sh
. "$here/job_body.sh"
train "$CONFIG" "$DATA" test.h5 "$OUTPUT" "$@"
