#!/usr/bin/env python3
"""save_storm.py BIN TESTBIN FAULT_LIBRARY: ends a run at its calls on files, and looks whether it goes on.

SPDX-License-Identifier: BSD-3-Clause

A run of a few steps saves at each of them. With tests/support/file_fault.cpp preloaded, its calls on files of the
run folder are counted; then, one start after the other, the process is killed in the n-th of them, or the call
fails with ENOSPC or EIO, or a write is short. After each a plain start must find a whole save no older than
the newest that has its name, and end with each step logged once. SAVE_STORM_POINTS (default 8) points are tried,
spread evenly; 0 tries all.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FAULTS = ["kill", "ENOSPC", "EIO", "short"]
STEPS = 5
TIMEOUT_S = 120


class Storm:
    def __init__(self, bin_folder, test_folder, library, work):
        self.program = str(Path(bin_folder).parent / "libexec" / "resnext_worker_program")
        self.preload = library
        self.work = Path(work)
        self.run = self.work / "run"
        self.config = str(Path(__file__).resolve().parents[2] / "configs" / "tiny.yaml")
        self.data = str(self.work / "train.h5")
        subprocess.run([str(Path(test_folder) / "make_tiny_data"), self.data, "96"], check=True)
        self.start(2)  # all that follow go on from here
        self.run.rename(self.work / "before")

    def start(self, steps, **variables):
        command = [self.program, self.config, "data.train=" + self.data, "data.validation=" + self.data,
                   f"run.output={self.run}", "data.size=16", "data.resize=16", "batch.global=24", "run.epochs=100",
                   f"run.steps={steps}", "checkpoint.every_steps=1", "checkpoint.keep=1", "comm.timeout_s=60"]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                              env={**os.environ, "OMP_NUM_THREADS": "1", **variables})

    def copy(self):
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.copytree(self.work / "before", self.run, symlinks=True)

    def calls(self):
        """How many calls on files of the run folder an undisturbed start makes."""
        self.copy()
        count = self.work / "count"
        self.start(STEPS, LD_PRELOAD=self.preload, FILE_FAULT=f"{self.run} 0 none", FILE_FAULT_COUNT=str(count))
        return count.stat().st_size

    def newest(self):
        """Step of the newest save that has its name."""
        return max((int(p.name[5:]) for p in (self.run / "checkpoints").glob("step-*") if "partial" not in p.name),
                   default=0)

    def try_point(self, number, fault):
        """True when the fault ended the start."""
        self.copy()
        hurt = self.start(STEPS, LD_PRELOAD=self.preload, FILE_FAULT=f"{self.run} {number} {fault}")
        named = self.newest()
        again = self.start(STEPS)
        where = f"{fault} in call {number}: ended with {hurt.returncode}, newest {named}"
        told = re.search(r"continuing after step (\d+)", again.stderr)
        if again.returncode != 0 or not told or int(told.group(1)) < named:
            raise SystemExit(f"{where}, and does not go on from there:\n{hurt.stderr[-1500:]}\n{again.stderr[-1500:]}")
        if hurt.returncode not in (0, -9, 64, 73):
            raise SystemExit(f"{where}:\n{hurt.stderr[-1500:]}")
        steps = [json.loads(line)["step"] for line in (self.run / "metrics.jsonl").read_text().splitlines()
                 if '"train"' in line]
        if steps != list(range(1, STEPS + 1)):
            raise SystemExit(f"{where}: train lines are {steps}")
        return hurt.returncode != 0


def spread(points, most):
    if most == 0 or most >= len(points):
        return points
    return [points[i * len(points) // most] for i in range(most)]


def main(bin_folder, test_folder, library):
    most = int(os.environ.get("SAVE_STORM_POINTS", "8"))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as work:
        storm = Storm(bin_folder, test_folder, library, work)
        calls = storm.calls()
        points = spread([(number, fault) for fault in FAULTS for number in range(1, calls + 1)], most)
        ended = sum(storm.try_point(*point) for point in points)
    print(f"{len(points)} points of {calls} calls x {len(FAULTS)} faults, {ended} of them ended the start: "
          "each run went on from its newest save, each step once")


if __name__ == "__main__":
    main(*sys.argv[1:])
