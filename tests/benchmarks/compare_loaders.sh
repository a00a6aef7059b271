#!/usr/bin/env bash
# compare_loaders.sh FOLDER [ROUNDS]: our loader beside the peers that are installed and beside what bounds it.
# SPDX-License-Identifier: BSD-3-Clause
#
# FOLDER holds class folders of JPEG files; they are repeated until there are 800 (IMAGES=N), packed as
# they are (files.h5), croppable (jpeg.h5) and as raw squares of 256 pixels (raw.h5). All run in turn on
# one core (CORE=N; default 0) with one worker thread for SECONDS_EACH=3 seconds, ROUNDS (3) times; at the
# end come medians and ratios, by the clock and by CPU time, which tells more on a machine that is not quiet.
# Of the bounds, libjpeg's are of files.h5: its crop decode alone (lib-crop), the whole decode (lib-full),
# the Huffman codes of the whole (lib-entropy); memory is a copy of raw.h5's bytes.
# The build is the one that build/bin points to (BUILD=DIR). Peers are looked for in PYTHON (python3):
#   pip install torchvision nvidia-dali-cuda130 ffcv
# (ffcv is built from source: it needs libopencv-dev, libturbojpeg0-dev, numpy < 2 and
# CFLAGS="-include cstdint"; see its own documentation).
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 64; }
folder=$(realpath "$1") rounds=${2:-3}
here=$(dirname "$(realpath "$0")") root=$(realpath "$(dirname "$0")/../..")
build=${BUILD:-$(realpath "$root/build/bin/..")} python=${PYTHON:-python3}
images=${IMAGES:-800} seconds=${SECONDS_EACH:-3} core=${CORE:-0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- the images --------------------------------------------------------------------------------
mapfile -t files < <(cd "$folder" && find . -mindepth 2 -type f | sort)
[ ${#files[@]} -gt 0 ] || { echo "compare_loaders.sh: $folder has no class folders with files" >&2; exit 65; }
for ((i = 0; i < images; ++i)); do
  file=${files[i % ${#files[@]}]}
  mkdir -p "$work/images/$(dirname "$file")"
  cp "$folder/$file" "$work/images/$(dirname "$file")/$((i / ${#files[@]}))_$(basename "$file")"
done
pack() { "$build/bin/resnext_data" pack imagefolder "$work/images" "$work/$1.h5" "${@:2}" >"$work/pack.log" 2>&1 ||
  { echo "compare_loaders.sh: packing $1 failed: $(tail -n 1 "$work/pack.log")" >&2; exit 65; }; }
pack files --jpeg unchanged
pack jpeg --jpeg croppable
pack raw --storage raw --size 256

# ---- what runs ---------------------------------------------------------------------------------
names=() commands=()
add() { names+=("$1") commands+=("${*:2}"); }
ours() { add "$1" "$build/tests/bin/loader_benchmark" "$work/$2.h5" --seconds "$seconds" "${@:3}"; }
ours jpeg jpeg
ours files files
for recipe in none seed torchvision-v2; do ours "jpeg-$recipe" jpeg --recipe "$recipe"; done
ours lib-crop files --what crop
ours lib-full files --what full
ours lib-entropy files --what entropy
ours raw raw
for recipe in none seed torchvision-v2; do ours "raw-$recipe" raw --recipe "$recipe"; done
ours raw-v2-bilinear raw --recipe torchvision-v2 --interpolation bilinear
ours raw-rand raw --augment rand
ours memory raw --what memory
peer() {
  if "$python" -c "import $2" >/dev/null 2>&1; then
    add "$1" "$python" "$here/loader_peers.py" "$1" "$work/images" "$seconds"
  else
    echo "not installed: $1"
  fi
}
peer dali nvidia.dali
peer torchvision torchvision
peer ffcv-jpeg ffcv
peer ffcv-raw ffcv

# ---- the rounds --------------------------------------------------------------------------------
size() { stat -c %s "$work/$1.h5"; }
echo "$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'), core $core, load $(cut -d' ' -f1 /proc/loadavg);" \
  "$images images, ${#files[@]} of them different; jpeg.h5 has $(awk "BEGIN{printf \"%.3f\", $(size jpeg)/$(size files)}")" \
  "of the bytes of files.h5"
for ((round = 0; round < rounds; ++round)); do
  for i in "${!names[@]}"; do
    # shellcheck disable=SC2086
    line=$(OMP_NUM_THREADS=1 taskset -c "$core" ${commands[i]} 2>"$work/error.log" | tail -n 1) ||
      { echo "${names[i]} failed: $(tail -n 1 "$work/error.log")"; continue; }
    sed -nE "s|.*: ([0-9.]+) ms CPU/image, ([0-9]+) img/s|${names[i]} \1 \2|p" <<<"$line" >>"$work/results"
  done
done
awk -v order="${names[*]}" -v load="$(cut -d' ' -f1 /proc/loadavg)" '
  function median(values,   a, n, i, j, t) {
    n = split(values, a, " ")
    for (i = 2; i <= n; ++i) for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; --j) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
    return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
  }
  function ratio(a, b) {
    if (!(a in rate) || !(b in rate)) return
    printf "%-16s to %-12s %5.2f by the clock, %5.2f by CPU time\n", a, b, rate[a] / rate[b], time[b] / time[a]
  }
  { cpu[$1] = cpu[$1] " " $2; clock[$1] = clock[$1] " " $3 }
  END {
    n = split(order, name, " ")
    print "medians:"
    for (i = 1; i <= n; ++i) if (name[i] in cpu) {
      time[name[i]] = median(cpu[name[i]]); rate[name[i]] = median(clock[name[i]])
      printf "%-16s %6.0f img/s  %7.3f ms CPU/image\n", name[i], rate[name[i]], time[name[i]]
    }
    print "ratios of medians (load at the end " load "):"
    ratio("jpeg", "files"); ratio("jpeg", "lib-crop"); ratio("files", "lib-crop")
    ratio("jpeg", "dali"); ratio("jpeg", "torchvision"); ratio("jpeg", "ffcv-jpeg"); ratio("files", "dali")
    ratio("raw", "ffcv-raw"); ratio("raw", "memory")
    ratio("jpeg-none", "jpeg"); ratio("jpeg-seed", "jpeg"); ratio("jpeg-torchvision-v2", "jpeg")
    ratio("raw-none", "raw"); ratio("raw-seed", "raw"); ratio("raw-torchvision-v2", "raw")
    ratio("raw-v2-bilinear", "raw"); ratio("raw-rand", "raw")
  }' "$work/results"
