#!/usr/bin/env bash
# setup.sh [--cuda|--cpu] [--python] [--tests]: installs what is missing to build, test and run; then does nothing.
# SPDX-License-Identifier: BSD-3-Clause
#
# Distribution packages come from apt (as root or with sudo); LibTorch from PyPI wheels, unpacked into
# .deps/libtorch. The default is --cuda where a GPU and the CUDA toolkit are found. --python adds
# what Python needs to import torch (with the toolkit's libraries), onnx and onnxruntime, for the
# parity tests; --tests what only tests need: a browser for the report, a disassembler of GPU code
# (with --cuda) and, for root, a Slurm that they start themselves.
# RESNEXT_LIBTORCH=DIR uses the torch/ and nvidia/ in DIR instead and downloads nothing.
# This is the only place that knows names and versions of packages.
set -euo pipefail
# shellcheck source=launcher/shell_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/shell_common.sh"

torch_version=2.11.0
packages=(
  ca-certificates git                                                 # sources
  g++ cmake ninja-build ccache pkg-config python3 python3-pip         # build tools
  libopenmpi-dev openmpi-bin libhwloc-dev                             # communication
  libhdf5-dev libjpeg-dev libturbojpeg0-dev libpng-dev zlib1g-dev libisal-dev libhwy-dev  # data
  libwebp-dev libtiff-dev libstb-dev                                  # more image formats
  libyaml-cpp-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libjs-chart.js # programs
  libgtest-dev libbenchmark-dev librapidcheck-dev shellcheck          # tests
  help2man dpkg-dev file                                              # man pages, cpack
  gnuplot-nox dataset-fashion-mnist                                   # quickstart
)
browser_packages=(chromium)  # Debian's; Ubuntu has it as a snap only
slurm_packages=(slurmctld slurmd slurm-client munge libpmix-dev)
wheels=("torch==$torch_version" "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-cupti==13.0.*")
cuda_wheels=(nvidia-cusparselt-cu13==0.8.0 nvidia-nvshmem-cu13==3.4.5 nvidia-cufile)
cuda_test_wheels=(nvidia-cuda-nvdisasm==13.2.51)  # reads the machine code of the GPU's kernels
python_wheels=(torchvision==0.26.0 numpy h5py pillow typing-extensions sympy mpmath networkx jinja2
  markupsafe fsspec filelock "setuptools<82"
  onnx==1.23.2 onnxruntime==1.32.0 ml_dtypes protobuf==7.36.2 flatbuffers packaging  # read exports
  tensorboard==2.21.0 absl-py==2.5.1)                                                # reads logs

# ---- distribution packages ------------------------------------------------------------------
# not_installed PACKAGE...: prints those that dpkg does not have.
not_installed() {
  comm -23 <(printf '%s\n' "$@" | sort) \
    <({ dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
      sed -n 's/^installed //p' | sort -u)
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Asks for a password only where someone can type it.
can_be_root() {
  [ "$(id -u)" = 0 ] ||
    { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; }
}

# A new machine may still be busy with its first updates: wait for the lock.
apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# A source of someone else's that is broken need not stop us.
apt_update() { apt_get update || true; }

apt_status() { grep -E '^(Get|Unpacking|Setting up)' "$apt_log" | tail -n 1 | cut -c 1-70; }

install_packages() {
  local missing
  command -v dpkg-query >/dev/null || die "this set-up knows Debian and Ubuntu only; install the" \
    "equivalents of: ${packages[*]}"
  mapfile -t missing < <(not_installed "${packages[@]}")
  [ ${#missing[@]} -gt 0 ] || return 0
  can_be_root || die "these packages are missing, and installing them needs root:
  apt-get install --no-install-recommends ${missing[*]}
Run that as root, or ask your administrator to, and start again."
  apt_log=$(mktemp)
  with_progress "package lists" apt_status "$apt_log" apt_update
  say "   installing ${missing[*]}"
  with_progress "packages" apt_status "$apt_log" \
    apt_get install --no-install-recommends "${missing[@]}"
  rm -f "$apt_log"
}

# ---- LibTorch -------------------------------------------------------------------------------
libtorch=${RESNEXT_LIBTORCH:-$root/.deps/libtorch}

# libtorch_version: prints the version of the torch in $libtorch, nothing when there is none.
libtorch_version() {
  [ -e "$libtorch/torch/lib/libtorch_cpu.so" ] || return 0
  sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$libtorch/torch/version.py"
}

# missing_wheels WHEEL...: prints those without a matching folder NAME-VERSION.dist-info.
missing_wheels() {
  local wheel name version
  for wheel in "$@"; do
    name=${wheel%%[=<]*} version='*'
    case $wheel in *==*) version=${wheel#*==} ;; esac
    if [ "$name" = torch ] && [ -n "$(libtorch_version)" ]; then continue; fi
    compgen -G "$libtorch/${name//-/_}-$version.dist-info" >/dev/null || say "$wheel"
  done
}

wheel_status() { du -sm "$partial" | sed 's/^\([0-9]*\).*/\1 MB downloaded and unpacked/'; }

# add_wheels WHEEL...: unpacks into a folder aside; only complete wheels reach $libtorch, and the
# .dist-info that says a wheel is there comes last.
add_wheels() {
  partial=$root/.deps/partial
  rm -rf "$partial" && mkdir -p "$partial/tmp"
  unfinished=$partial
  say "   downloading $* into $libtorch"
  TMPDIR=$partial/tmp with_progress "LibTorch" wheel_status "$partial/pip.log" \
    python3 -m pip install --no-deps --no-compile --no-cache-dir --progress-bar off \
    --disable-pip-version-check --target "$partial/new" "$@"
  if [ -e "$libtorch" ]; then
    find "$partial/new" -mindepth 1 -maxdepth 1 ! -name '*.dist-info' -exec cp -r -t "$libtorch" {} +
    cp -r -t "$libtorch" "$partial"/new/*.dist-info
  else
    mv "$partial/new" "$libtorch"
  fi
}

install_libtorch() {
  local found missing
  found=$(libtorch_version)
  [ -z "$found" ] || [ "$found" = "$torch_version" ] || die "$libtorch holds torch $found, but" \
    "$torch_version is needed: remove that folder, or set RESNEXT_LIBTORCH to another"
  if [ -n "${RESNEXT_LIBTORCH:-}" ]; then
    [ -n "$found" ] || die "RESNEXT_LIBTORCH=$libtorch has no torch/lib/libtorch_cpu.so: name the" \
      "site-packages folder of torch $torch_version, or unset it to download"
    return
  fi
  mapfile -t missing < <(missing_wheels "$@")
  if [ ${#missing[@]} -gt 0 ]; then add_wheels "${missing[@]}"; fi
}

# ---- main -----------------------------------------------------------------------------------
preset='' python='' tests=''
for argument in "$@"; do
  case $argument in
    --cuda | --cpu) preset=${argument#--} ;;
    --python) python=yes ;;
    --tests) tests=yes ;;
    *) die "unknown argument $argument; usage: setup.sh [--cuda|--cpu] [--python] [--tests]" ;;
  esac
done
preset=${preset:-$(default_preset)}
if [ "$preset" = cuda ] || [ -n "$python" ]; then
  lacking=$(cuda_missing)
  [ -z "$lacking" ] || die "$* needs ${lacking//$'\n'/, }, not found on this machine:" \
    "install it from NVIDIA, or build without (--cpu)"
  wheels+=("${cuda_wheels[@]}")
fi
if [ -n "$python" ]; then wheels+=("${python_wheels[@]}"); fi
if [ -n "$tests" ]; then
  if [ "$preset" = cuda ]; then wheels+=("${cuda_test_wheels[@]}"); fi
  if grep -q '^ID=debian' /etc/os-release; then packages+=("${browser_packages[@]}"); fi
  if [ "$(id -u)" = 0 ]; then packages+=("${slurm_packages[@]}"); fi
fi
install_packages
install_libtorch "${wheels[@]}"
