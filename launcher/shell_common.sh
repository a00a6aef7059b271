# Shell functions that the set-up, build, quickstart and test scripts share; sourced, not run.
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Needs bash only, because it runs before anything is installed. `$root` is the project's folder.
# shellcheck disable=SC2034 # used by the scripts that source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# stage NAME: announces a stage and, before that, the seconds that the one before it took.
stage() {
  stage_end
  stage_name=$1 stage_start=$SECONDS
  say "== $1"
}

stage_end() {
  [ -z "${stage_name:-}" ] || say "   $stage_name: $((SECONDS - stage_start)) s"
  stage_name=''
}

# What an interrupted script must not leave behind: the command that runs in the background (it does
# not hear Ctrl-C) and a folder that is not complete.
background=''
unfinished=''
clean_up() {
  if [ -n "$background" ]; then
    { kill "$background" && wait "$background"; } 2>/dev/null || true
  fi
  [ -z "$unfinished" ] || rm -rf "$unfinished"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# with_progress LABEL STATUS LOG COMMAND...: runs COMMAND with its output in LOG and prints every few
# seconds the time spent and what the function STATUS prints; shows the end of LOG when it fails.
with_progress() {
  local label=$1 status=$2 log=$3 begin=$SECONDS last=$SECONDS
  shift 3
  "$@" >"$log" 2>&1 </dev/null &
  background=$!
  while kill -0 "$background" 2>/dev/null; do
    sleep 0.5
    if [ $((SECONDS - last)) -ge 5 ]; then
      last=$SECONDS
      say "   $label: $((SECONDS - begin)) s, $("$status" 2>/dev/null || true)"
    fi
  done
  if ! wait "$background"; then
    background=''
    tail -n 25 "$log" >&2
    die "$label failed; the lines above are the end of its output ($*)"
  fi
  background=''
  say "   $label: done in $((SECONDS - begin)) s"
}

# core_count: processors that this process may use, whatever OMP_NUM_THREADS says, which nproc believes.
core_count() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }

find_nvcc() {
  command -v nvcc || { [ -x /usr/local/cuda/bin/nvcc ] && say /usr/local/cuda/bin/nvcc; }
}

# cuda_missing: prints what the CUDA build lacks on this machine; nothing when it can be built.
cuda_missing() {
  local nvcc header toolkit
  nvcc=$(find_nvcc) || { say "nvcc (the CUDA toolkit)" && return; }
  "$nvcc" --version | grep -q 'release 13\.' || say "a CUDA toolkit of version 13 ($nvcc is another)"
  toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
  for header in nccl.h cudnn.h; do
    # Some of these folders may not exist, which is no failure.
    { find -L "$toolkit/include" /usr/local/include /usr/include \
      "/usr/include/$(uname -m)-linux-gnu" "${RESNEXT_LIBTORCH:-$root/.deps/libtorch}"/nvidia/*/include \
      -maxdepth 1 -name "$header" 2>/dev/null || true; } | grep . >/dev/null || say "$header"
  done
}

gpu_count() {
  { nvidia-smi -L 2>/dev/null || true; } | grep -c '^GPU' || true
}

# default_preset: "cuda" where a GPU and all that its build needs are there, else "cpu".
default_preset() {
  if [ "$(gpu_count)" -gt 0 ] && [ -z "$(cuda_missing)" ]; then say cuda; else say cpu; fi
}
