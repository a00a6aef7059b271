#!/usr/bin/env bash
# plot_metrics.sh METRICS.jsonl CURVE.png: draws loss and top-1 over the steps, as a picture and as text.
# SPDX-License-Identifier: BSD-3-Clause
set -euo pipefail
metrics=${1:?usage: plot_metrics.sh METRICS.jsonl CURVE.png}
curve=${2:?usage: plot_metrics.sh METRICS.jsonl CURVE.png}

table=$(mktemp -d)
trap 'rm -rf "$table"' EXIT
# A resumed run repeats the steps after its checkpoint: the last line of a step counts.
python3 - "$metrics" "$table" <<'PYTHON'
import json, sys
rows = {"train": {}, "validation": {}}
for line in open(sys.argv[1]):
    try:
        row = json.loads(line)
    except ValueError:  # a line that a killed run did not finish
        continue
    if row.get("event") in rows and row.get("loss") is not None:
        rows[row["event"]][row["step"]] = row
for event, by_step in rows.items():
    with open(f"{sys.argv[2]}/{event}", "w") as out:
        for step in sorted(by_step):
            row = by_step[step]
            print(step, row["loss"], row.get("top1", "nan"), file=out)
PYTHON
[ -s "$table/train" ] || { echo "plot_metrics.sh: $metrics has no training steps yet" >&2; exit 1; }
# What there is to draw: validation may have been off.
lines="'$table/train' using 1:2 with lines lw 2 title 'training loss'"
text=$lines
if [ -s "$table/validation" ]; then
  lines+=", '$table/validation' using 1:2 with linespoints pt 7 title 'validation loss'"
  lines+=", '$table/validation' using 1:3 axes x1y2 with linespoints pt 5 title 'validation top-1'"
  text+=", '$table/validation' using 1:2 with points title 'validation loss'"
fi
gnuplot <<GNUPLOT
set terminal pngcairo size 1000,600
set output '$curve'
set xlabel 'step'
set ylabel 'loss'
set y2label 'top-1, %'
set y2range [0:100]
set y2tics
set ytics nomirror
set grid
set key center right
plot $lines
set terminal dumb 78,22
set output
unset y2label
unset y2tics
unset grid
set key top right
plot $text
GNUPLOT
