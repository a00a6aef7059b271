# What all job scripts do once they have their own settings; sourced by them in a job, not submitted.
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Slurm's notice of the time limit or of a preemption (SIGUSR1), as any other request to stop but
# scancel, makes the ranks save and leave; the job is then queued again and goes on from its checkpoint,
# as it is after a lost rank or node, for as long as starts gain checkpoints. What is to run here, and
# how, is the launcher's business: see resnext_launcher run --help.

# ---- site: change it here, or set these variables when submitting ---------------------------
: "${SETUP:=}"        # e.g. "module load openmpi cuda"
: "${RESNEXT_BIN:=}"  # where resnext_launcher is; empty: beside these scripts, or build/bin
: "${LAUNCHER:=srun}" # srun (Slurm with PMIx) or mpirun
: "${STAGE_TO:=}"     # folder of a node's own disk to copy the data to; empty: read it in place
: "${INTERFACE:=}"    # network interface between nodes, e.g. ib0; empty: found by itself
# ---------------------------------------------------------------------------------------------

# find_programs SCRIPTS: prints the folder of resnext_launcher; SCRIPTS is this file's.
find_programs() {
  local folder
  for folder in "$RESNEXT_BIN" "$SLURM_SUBMIT_DIR/build/bin" "$1/../build/bin" "$1/../../../bin"; do
    if [ -n "$folder" ] && [ -x "$folder/resnext_launcher" ]; then
      (cd "$folder" && pwd)
      return
    fi
    [ -z "$RESNEXT_BIN" ] || break
  done
  echo "resnext_launcher is not in ${RESNEXT_BIN:-$SLURM_SUBMIT_DIR/build/bin, nor near $1}: build it" \
    "(launcher/build.sh cpu or cuda), or set RESNEXT_BIN to its folder when submitting" >&2
  return 64
}

# launch WORD...: becomes the launcher.
launch() {
  export SLURM_EXPORT_ENV=ALL # mpirun's helpers need it when submitted with --export=NONE
  export RESNEXT_ASKED_TO_STOP="${RESNEXT_ASKED_TO_STOP:-}"
  exec "$RESNEXT_BIN/resnext_launcher" "$@"
}

# train CONFIG DATA VALIDATION OUTPUT [KEY=VALUE...]: DATA holds train.h5 and VALIDATION.
train() {
  local config=$1 data=$2 validation=$3 output=$4
  shift 4
  [ -e "$config" ] || config=$scripts/../configs/${config##*/} # the one that is installed
  launch run "$config" --requeue --launcher "$LAUNCHER" \
    ${INTERFACE:+--interface "$INTERFACE"} ${STAGE_TO:+--stage-to "$STAGE_TO"} \
    --rank-logs "$output/logs/$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}" \
    "data.train=$data/train.h5" "data.validation=$data/$validation" "run.output=$output" "$@"
}

eval "$SETUP"
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RESNEXT_BIN=$(find_programs "$scripts") || exit 64
