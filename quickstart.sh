#!/usr/bin/env bash
# quickstart.sh [key=value ...]: fresh machine to trained model, with a real data set.
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs what is missing, builds the programs, packs Fashion-MNIST, trains a small ResNeXt on two
# ranks (or one on each GPU) and draws the curve. What is done is not done again: a second call finds
# the run finished, or resumes it from its last checkpoint. Arguments go to the worker.
set -euo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launcher/shell_common.sh"
cd "$root"
images=/usr/share/datasets/fashion-mnist
data=datasets/fashion_mnist
run=runs/fashion_mnist # as in configs/fashion_mnist.yaml
preset=$(default_preset)

pack() {
  [ -f "$data/$2.h5" ] && return
  [ -f "$images/$1-images-idx3-ubyte.gz" ] || die "$images/ has no $1-images-idx3-ubyte.gz: this" \
    "release has no package dataset-fashion-mnist. Put the four files of Fashion-MNIST there"
  mkdir -p "$data"
  build/bin/resnext_data pack idx "$images/$1-images-idx3-ubyte.gz" \
    "$images/$1-labels-idx1-ubyte.gz" "$data/$2.h5"
}

train() {
  local ranks=2 threads
  if [ "$preset" = cuda ]; then ranks=$(gpu_count); fi
  threads=$(($(core_count) / ranks))
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))
  mpirun -np "$ranks" --oversubscribe --bind-to none \
    build/bin/resnext_worker configs/fashion_mnist.yaml "$@"
}

stage "set-up"
launcher/setup.sh "--$preset"
stage "build ($preset)"
launcher/build.sh "$preset" resnext_worker resnext_data resnext_launcher
stage "data set"
pack train train
pack t10k test
stage "training"
train "$@"
stage "curve"
launcher/plot_metrics.sh "$run/metrics.jsonl" "$run/curve.png"
stage_end
say "Total: $SECONDS s. In $run/:
  metrics.jsonl    every figure of the run, one JSON object a line
  curve.png        loss and accuracy over the steps
  checkpoints/     the model (loads in PyTorch) and the state to go on from"
