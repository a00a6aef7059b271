#!/usr/bin/env python3
"""kill_lottery.py BIN TESTBIN: kills a random rank again and again, each start on other ranks.

SPDX-License-Identifier: BSD-3-Clause

KILL_LOTTERY_KILLS (default 4) times: starts the same run under mpirun on 1 to 4 ranks at random, with one
global batch, kills one rank with SIGKILL in a random moment, and looks: the job ends, the next start goes
on from the newest save, every step is logged once, and every epoch's tally is that of each image once.
Prints the times that the jobs took to end. KILL_LOTTERY_SEED draws other numbers.
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMAGES, BATCH, SAVE_EVERY = 960, 12, 25
END_TIMEOUT_S = 120  # nothing hangs; how fast it is, is printed


def tally_of(indices):
    """As data/sampler.h says it."""
    mask, total = (1 << 64) - 1, 0
    for index in indices:
        x = index + 1
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        total = (total + (x ^ (x >> 31))) & mask
    return total


class Lottery:
    def __init__(self, bin_folder, test_folder, work):
        self.worker = str(Path(bin_folder) / "resnext_worker")
        self.run = Path(work) / "run"
        self.data = str(Path(work) / "train.h5")
        self.random = random.Random(int(os.environ.get("KILL_LOTTERY_SEED", "1")))
        self.config = str(Path(__file__).resolve().parents[2] / "configs" / "tiny.yaml")
        subprocess.run([str(Path(test_folder) / "make_tiny_data"), self.data, str(IMAGES)], check=True)

    def start(self, ranks):
        variables = {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-np",
                   str(ranks), self.worker, self.config, "data.train=" + self.data, f"run.output={self.run}",
                   "data.size=16", "data.resize=16", "run.epochs=100000", f"batch.global={BATCH}",
                   "checkpoint.every_epochs=0", f"checkpoint.every_steps={SAVE_EVERY}", "log.every_steps=1",
                   "comm.timeout_s=30"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, **variables}, start_new_session=True)

    def ranks_of(self, job):
        """Process ids of the job's ranks."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                if os.path.basename(command[0]) == b"resnext_worker" and \
                        f"run.output={self.run}".encode() in command:
                    found.append(int(folder.name))
            except OSError:
                pass
        return found

    def newest(self):
        """Step of the newest save, -1 where there is none."""
        try:
            return json.loads((self.run / "checkpoints" / "latest" / "manifest.json").read_text())["progress"]["step"]
        except OSError:
            return -1

    def logged(self):
        try:
            lines = (self.run / "metrics.jsonl").read_text().splitlines()
        except OSError:
            return []
        events = []
        for line in lines:
            try:
                events.append(json.loads(line))
            except ValueError:  # the last one, torn
                pass
        return events

    def goes_on(self, starts, step):
        """One more start has logged more than one step."""
        events = self.logged()
        train = [e["step"] for e in events if e["event"] == "train"]
        return self.starts(events) > starts and train and train[-1] > step + 1

    @staticmethod
    def starts(events):
        return sum(e["event"] == "start" for e in events)

    def wait_for(self, job, holds):
        deadline = time.monotonic() + END_TIMEOUT_S
        while not holds():
            if job.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the run does not go on:\n" + job.stderr.read()[-3000:])
            time.sleep(0.02)

    def kill_one(self):
        before = max(self.newest(), 0)
        starts = self.starts([e for e in self.logged() if e["step"] <= before])
        job = self.start(self.random.randint(1, 4))
        self.wait_for(job, lambda: self.goes_on(starts, before))
        time.sleep(self.random.random() * 2)
        os.kill(self.random.choice(self.ranks_of(job)), signal.SIGKILL)
        begin = time.monotonic()
        _, err = job.communicate(timeout=END_TIMEOUT_S)
        took = time.monotonic() - begin
        told = re.search(r"continuing after step (\d+)", err)
        assert (int(told.group(1)) if told else 0) == before, f"went on from {told}, the newest save was {before}"
        assert job.returncode != 0
        return took

    def stop(self):
        before = max(self.newest(), 0)
        starts = self.starts([e for e in self.logged() if e["step"] <= before])
        job = self.start(2)
        self.wait_for(job, lambda: self.goes_on(starts, before))
        job.send_signal(signal.SIGUSR1)
        job.communicate(timeout=END_TIMEOUT_S)
        assert job.returncode == 75, job.returncode

    def check_lines(self):
        train = [e for e in self.logged() if e["event"] == "train"]
        assert [e["step"] for e in train] == list(range(1, len(train) + 1)), "a step is lost or logged twice"
        whole = tally_of(range(IMAGES))
        epochs = train[-1]["step"] * BATCH // IMAGES
        for epoch in range(epochs):
            tallies = [int(e["tally"], 16) for e in train if e["epoch"] == epoch]
            assert sum(tallies) % (1 << 64) == whole, f"epoch {epoch} did not see each image once"
        return len(train), epochs


def main(bin_folder, test_folder):
    kills = int(os.environ.get("KILL_LOTTERY_KILLS", "4"))
    with tempfile.TemporaryDirectory() as work:
        lottery = Lottery(bin_folder, test_folder, work)
        took = sorted(lottery.kill_one() for _ in range(kills))
        lottery.stop()
        steps, epochs = lottery.check_lines()
    print(f"{kills} kills: jobs over after {took[0]:.2f} to {took[-1]:.2f} s (median {took[kills // 2]:.2f}); "
          f"{steps} steps, each once; {epochs} whole epochs, each image once")


if __name__ == "__main__":
    main(*sys.argv[1:])
