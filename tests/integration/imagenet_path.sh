#!/usr/bin/env bash
# imagenet_path.sh BIN: ImageNet in small, from its tar files to an evaluated network, by the README's own lines.
# SPDX-License-Identifier: BSD-3-Clause
#
# The tar files are made as ILSVRC's: a tar of class tars, a flat tar of validation images, and the devkit's numbers,
# which count classes in another order than their names have. Only the line that reads the devkit's Matlab file
# is replaced by what it writes.
set -euo pipefail
bin=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMP_NUM_THREADS=1

fail() {
  echo "imagenet_path: $*" >&2
  exit 1
}

# image NAME N: the N-th of a few small photographs.
image() {
  local -a kinds=(420 422 444 progressive grey)
  cp "$root/tests/data/golden/${kinds[$2 % 5]}.jpg" "$1"
}

# Classes by the devkit's number: 1, 2, 3; a fourth entry is none of the classes, as in the devkit.
synsets=(n03 n01 n02)
mkdir classes
for class in "${synsets[@]}"; do
  mkdir "$class"
  for n in 0 1 2 3; do image "$class/${class}_$n.JPEG" "$n"; done
  tar -cf "classes/$class.tar" -C "$class" .
  rm -r "$class"
done
tar -cf ILSVRC2012_img_train.tar -C classes .
mkdir flat
for n in 1 2 3 4 5 6; do image "flat/ILSVRC2012_val_0000000$n.JPEG" "$n"; done
tar -cf ILSVRC2012_img_val.tar -C flat .
printf '%s\n' 2 1 2 3 2 3 >ILSVRC2012_validation_ground_truth.txt # n01 n03 n01 n02 n01 n02
rm -r classes flat
mkdir build
ln -s "$bin" build/bin

lines=$(awk '/^```/ { if (inside && block ~ /ILSVRC2012_img_train/) printf "%s", block
                      inside = !inside; block = ""; next }
             inside { block = block $0 "\n" }' "$root/README.md")
[ "$(grep -c loadmat <<<"$lines")" = 1 ] || fail "the README's lines on ImageNet have changed"
printf '%s\n' '1 n03' '2 n01' '3 n02' '4 n09' >synsets.txt
grep -v loadmat <<<"$lines" >lines.sh
bash -euo pipefail lines.sh

inspect() { build/bin/resnext_data inspect "datasets/imagenet/$1.h5" | grep "^$2"; }
[ "$(inspect train images)" = "images   12" ] || fail "training images: $(inspect train images)"
[ "$(inspect val images)" = "images   6" ] || fail "validation images: $(inspect val images)"
expected="3; images of a class: fewest 1 (n03), most 3 (n01), empty classes 0"
[ "$(inspect val classes)" = "classes  $expected" ] || fail "validation: $(inspect val classes)"
for split in train val; do build/bin/resnext_data verify "datasets/imagenet/$split.h5"; done

small=(model.depth=50 model.cardinality=1 model.base_width=64 model.stem.width=4 data.size=32 data.resize=36
  data.threads=1 batch.per_rank=4 log.tensorboard=false)
worker=("build/bin/resnext_worker" "$root/configs/resnext50_32x4d.yaml" "${small[@]}")
"${worker[@]}" run.steps=1 2>log || fail "training: $(cat log)"
! grep -i warn log || fail "training warns of ImageNet's own labels"
"${worker[@]}" --evaluate 2>log | grep 'images 6$' || fail "evaluation: $(cat log)"
