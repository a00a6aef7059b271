#!/usr/bin/env bash
# report_in_browser.sh LAUNCHER CHROMIUM: a report opens from disk in a browser without a network.
# SPDX-License-Identifier: BSD-3-Clause
#
# REPORT_SCREENSHOT=FILE.png keeps the screenshot, to be looked at.
set -euo pipefail
launcher=$1 chromium=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run NAME CARDINALITY ERROR
run() {
  mkdir -p "$work/$1"
  printf 'model: {cardinality: %s}\n' "$2" >"$work/$1/config.yaml"
  {
    echo '{"event":"start","step":0,"parameters":1000,"gmac":0.5,"world_size":2}'
    for step in 10 20 30 40; do
      printf '{"event":"train","step":%s,"loss":%s,"lr":0.1,"images_per_second":100,"data_wait_ms":1,' \
        "$step" "$((60 - step))"
      echo '"forward_ms":20,"backward_ms":40,"exposed_comm_ms":5,"optimizer_ms":2}'
      printf '{"event":"validation","step":%s,"loss":2,"top1":%s,"top5":90}\n' "$step" "$((100 - $3))"
    done
  } >"$work/$1/metrics.jsonl"
}
run small 2 40
run large 32 30

"$launcher" report "$work/small" "$work/large" -o "$work/out"
browse() {
  HOME=$work timeout 60 "$chromium" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --host-resolver-rules='MAP * ~NOTFOUND' --window-size=1400,2200 "$@" "file://$work/out/report.html" 2>"$work/err"
}
browse --dump-dom >"$work/dom"
for chart in loss error learning_rate images_per_second step_time cardinality parameters; do
  grep -q "<figure id=\"$chart\">" "$work/dom" || { echo "the page lacks the chart $chart" >&2; exit 1; }
done
if grep -E 'ERR_|Refused|net::' "$work/err"; then exit 1; fi
browse --screenshot="$work/page.png"
[ "$(stat -c %s "$work/page.png")" -gt 30000 ] || { echo "the screenshot is all but empty" >&2; exit 1; }
if [ -n "${REPORT_SCREENSHOT:-}" ]; then cp "$work/page.png" "$REPORT_SCREENSHOT"; fi
