#!/usr/bin/env bash
# package_test.sh BUILD: cpack's Debian package, installed, used and removed in a bare Debian.
# SPDX-License-Identifier: BSD-3-Clause
#
# Needs root, debootstrap and a way to Debian's packages; without one of them it ends with 77: skipped.
# The bare Debian is made once, in BUILD/tests/bare_debian, with this machine's package sources.
set -euo pipefail
build=$(cd "$1" && pwd)
skip() {
  echo "skipped: $*"
  exit 77
}
fail() {
  echo "$*" >&2
  exit 1
}
[ "$(id -u)" = 0 ] || skip "only root can make a bare Debian"
command -v debootstrap >/dev/null || skip "there is no debootstrap"
# In a mount space of our own, so that nothing stays mounted.
if [ -z "${RESNEXT_OWN_MOUNTS:-}" ]; then
  RESNEXT_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi

bare=$build/tests/bare_debian
release=bookworm
# The place of Debian's packages that this machine uses.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' |
    grep -oE 'https?://[^ ]+/debian/?' | grep -v security | head -n 1
}
make_bare() {
  local place
  place=$(mirror) || skip "this machine has no place of Debian's packages"
  rm -rf "$bare.new"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$bare.new" "$place" \
    >"$bare.log" 2>&1 || skip "debootstrap: $(tail -n 1 "$bare.log")"
  cp -L /etc/resolv.conf /etc/hosts "$bare.new/etc/"
  # Proxies and certificates of this machine.
  cp /etc/apt/apt.conf.d/* "$bare.new/etc/apt/apt.conf.d/" 2>/dev/null || true
  cp /etc/ssl/certs/ca-certificates.crt "$bare.new/etc/ssl/certs/"
  mv "$bare.new" "$bare"
}
[ -d "$bare" ] || make_bare
mount --bind /proc "$bare/proc"
mount --bind /dev "$bare/dev"
mount -t tmpfs none "$bare/dev/shm"
mount -t tmpfs none "$bare/home"
inside() {
  env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin OMPI_ALLOW_RUN_AS_ROOT=1 \
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 DEBIAN_FRONTEND=noninteractive chroot "$bare" "$@"
}
# Put at the head of a failing command's output.
must() {
  local out
  out=$("$@" 2>&1) || fail "$*: $out"
  printf '%s\n' "$out"
}

# ---- the package -----------------------------------------------------------------------------
must cpack --config "$build/CPackConfig.cmake" -B "$bare/home/package" >/dev/null
package=$(basename "$bare"/home/package/*.deb)
# 96 images of 16 x 16 in MNIST's format, in ten classes.
{
  printf '\0\0\10\3\0\0\0\140\0\0\0\20\0\0\0\20'
  head -c $((96 * 16 * 16)) /dev/urandom
} >"$bare/home/images"
{
  printf '\0\0\10\1\0\0\0\140'
  for i in {1..96}; do printf '%b' "\\x0$((i % 10))"; done
} >"$bare/home/labels"
must inside apt-get -q update >/dev/null
must inside apt-get -q -y install --no-install-recommends "/home/package/$package" >/dev/null
must inside dpkg -L resnext >"$bare/home/files"

# ---- used ------------------------------------------------------------------------------------
for program in resnext_worker resnext_data resnext_launcher; do
  must inside $program --version | grep -qE '^[0-9]+\.[0-9]+' || fail "$program tells no version"
  inside test -s /usr/share/man/man1/$program.1 || fail "$program has no man page"
  must inside bash -c ". /usr/share/bash-completion/completions/$program; complete -p $program" |
    grep -q "_$program" || fail "$program has no completion"
done
for page in resnext_launcher-run resnext_launcher-sweep-status resnext_data-pack-imagefolder; do
  inside test -s /usr/share/man/man1/$page.1 || fail "there is no page $page"
done
grep -q 'hosts' "$bare/usr/share/man/man1/resnext_launcher-run.1" || fail "a page tells no options"
must inside resnext_worker /usr/share/resnext/configs/resnext50_32x4d.yaml --plan |
  grep -q 'ImageNet-1K' || fail "a preset makes no plan"
must inside resnext_data pack idx /home/images /home/labels /home/train.h5 >/dev/null
must inside resnext_data verify /home/train.h5 | grep -q 'all 96 samples' || fail "resnext_data"
must inside resnext_launcher run /usr/share/resnext/configs/fashion_mnist.yaml -n 2 \
  data.train=/home/train.h5 'data.validation=""' data.size=16 data.resize=16 data.recipe=none \
  batch.global=8 run.epochs=1 run.steps=2 run.output=/home/run >/dev/null
grep -q '"event":"end".*"exit_code":0' "$bare/home/run/metrics.jsonl" || fail "the run did not end"
must inside resnext_launcher sweep /usr/share/resnext/configs/sweeps/cardinality_resnext50.yaml \
  --dry-run --slurm | grep -q /usr/share/resnext/slurm/sweep_cardinality.sh ||
  fail "the job scripts are not found"

# ---- removed ---------------------------------------------------------------------------------
must inside apt-get -q -y purge resnext >/dev/null
while read -r file; do
  if [ ! -d "$bare$file" ] && [ -e "$bare$file" ]; then fail "$file was left behind"; fi
done <"$bare/home/files"
for folder in /usr/share/resnext /usr/lib/resnext /usr/share/doc/resnext; do
  [ ! -e "$bare$folder" ] || fail "$folder was left behind"
done
must inside apt-get -q -y autoremove --purge >/dev/null
echo "$package: installed, used and removed"
