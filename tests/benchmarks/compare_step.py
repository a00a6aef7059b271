#!/usr/bin/env python3
"""Our training step beside PyTorch DDP's, in turn on a quiet machine; prints the ratio of medians.

  compare_step.py [--rounds 3] [--ranks 2] [--steps 6] [--build DIR] [--peer "SCRIPT ARGS"]

The build is the one that build/bin points to, unless named. --peer names another script for
torchrun whose last line ends in "... X img/s". PyTorch is found through PYTHONPATH
(launcher/setup.sh --python puts it into .deps/libtorch).
"""
# SPDX-License-Identifier: BSD-3-Clause
import argparse
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def last_build():
    link = ROOT / "build" / "bin"
    return link.resolve().parent if link.exists() else ROOT / "build" / "cpu"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--build", default=str(last_build()))
    parser.add_argument("--peer", default=str(ROOT / "tests" / "benchmarks" / "pytorch_ddp.py"))
    return parser.parse_args()


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip().endswith("img/s") or
             re.search(r"img/s [\d.]+$", line)]
    if done.returncode or not lines:
        sys.exit(f"{shlex.join(command)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    print(lines[-1], flush=True)
    number = re.search(r"([\d.]+) img/s$", lines[-1]) or re.search(r"img/s ([\d.]+)$", lines[-1])
    return float(number.group(1))


def main():
    a = arguments()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    site = str(ROOT / ".deps" / "libtorch")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH")]))
    ours = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(a.ranks),
            f"{a.build}/tests/bin/step_benchmark", "--steps", str(a.steps)]
    peer = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(a.ranks),
            *shlex.split(a.peer)]
    rates = {"ours": [], "peer": []}
    for _ in range(a.rounds):
        rates["ours"].append(run(ours, environment))
        rates["peer"].append(run(peer, environment))
    median = {who: statistics.median(values) for who, values in rates.items()}
    print(f"medians of {a.rounds}: ours {median['ours']:.2f} img/s, peer {median['peer']:.2f} "
          f"img/s, ratio {median['ours'] / median['peer']:.2f}")


if __name__ == "__main__":
    main()
