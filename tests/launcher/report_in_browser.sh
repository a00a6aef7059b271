#!/usr/bin/env bash
# report_in_browser.sh LAUNCHER CHROMIUM: a report opens from disk in a browser without a network, and works.
# SPDX-License-Identifier: BSD-3-Clause
#
# report_page_test.js operates the page. REPORT_SCREENSHOT=FILE.png keeps a screenshot, to be looked at;
# make_runs.py makes runs that look like real ones for more of them.
set -euo pipefail
launcher=$1 chromium=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

start() {
  printf '{"event":"start","step":%s,"parameters":%s,"gmac":0.5,"world_size":2,"global_batch":32,"steps_per_epoch":10,' "$@"
  echo '"versions":{"resnext":"0.1.0","libtorch":"2.11.0"}}'
}
# run NAME CARDINALITY SEED ERROR...: an error for each ten steps
run() {
  local name=$1 cardinality=$2 seed=$3 step=0 error
  shift 3
  mkdir -p "$work/runs/$name"
  printf 'run: {seed: %s}\nmodel: {cardinality: %s}\noptimizer: {base_lr: 0.%s}\n' "$seed" "$cardinality" "$cardinality" >"$work/runs/$name/config.yaml"
  {
    start 0 $((1000 * cardinality))
    for error in "$@"; do
      step=$((step + 10))
      printf '{"event":"train","step":%s,"loss":%s,"lr":0.1,"images_per_second":100,"data_wait_ms":1,' \
        "$step" "$((60 - step))"
      printf '"forward_ms":%s,"backward_ms":40,"exposed_comm_ms":5,"optimizer_ms":2}\n' "$((step == 10 ? 900 : 20))"
      printf '{"event":"validation","step":%s,"loss":2,"top1":%s,"top5":90}\n' "$step" "$((100 - error))"
    done
  } >"$work/runs/$name/metrics.jsonl"
}
run small 2 1 60 35 38 40
run large 32 1 60 50 40 30
run large2 32 2 60 50 40 31
run torn 1 1 60 55
{ echo '{"event":"end","step":20,"exit_code":75}' && start 20 1000; } >>"$work/runs/torn/metrics.jsonl"

"$launcher" report "$work/runs"
page=$work/runs/report.html
browse() {
  HOME=$work timeout 80 "$chromium" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --host-resolver-rules='MAP * ~NOTFOUND' --window-size=1400,2200 "$@" 2>"$work/err"
}
if grep -E -o '(src|href)="[^"]*"|@import|url\(http' "$page"; then
  echo "the page refers to something outside" >&2
  exit 1
fi
# Without a screen there are no frames to wait for.
frames='<script>window.requestAnimationFrame = done => setTimeout(done, 1);<\/script>'
{ sed "s/^<title>.*/&$frames/" "$page" && echo '<script>' && cat "$here/report_page_test.js" && echo '</script>'; } >"$work/operated.html"
browse --virtual-time-budget=5000 --dump-dom "file://$work/operated.html" >"$work/dom"
if grep -E 'ERR_|Refused|net::' "$work/err"; then exit 1; fi
result=$(sed -n 's/.*<pre id="result">\([^<]*\).*/\1/p' "$work/dom")
[ "$result" = "all held" ] || { echo "on the page these do not hold: ${result:-the test did not run}" >&2; exit 1; }
if [ -n "${REPORT_SCREENSHOT:-}" ]; then browse --screenshot="$REPORT_SCREENSHOT" "file://$page"; fi
