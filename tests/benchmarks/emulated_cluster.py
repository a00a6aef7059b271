#!/usr/bin/env python3
"""emulated_cluster.py BIN [--json OUT] [--case N]...: predicted against measured step times over
links of known bandwidth and delay.

Makes 2 to 4 hosts of one machine: each a network namespace with a name of its own and one
interface, whose sending is shaped to a bandwidth (tc tbf); a switch in this process delays every
frame. resnext_launcher scale starts one rank on each over MPI and TCP as it does on real hosts,
and its measured step is compared with what scale --predict says for this bandwidth and delay, with
the computing time of one rank measured while as many others compute. BIN is a build's bin folder.
Needs root, ip, tc (with tbf) and /dev/net/tun. The links are slow, so that they decide, not the
machine's load.
"""
# SPDX-License-Identifier: BSD-3-Clause
import argparse
import contextlib
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import pathlib
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
MTU = 1500
PAYLOAD_SHARE = (MTU - 52) / (MTU + 14)  # of a frame: less IP and TCP headers with time stamps
BURST_S = 0.008  # sent at once after a pause, so that a late timer loses nothing
EAGER_BYTES = 8 << 20  # no message is longer, so each crosses the link once, without a handshake

# hosts, Mbit/s, delay of each message in ms, bucket in MiB
CASES = [(2, 20, 20, 8), (2, 20, 60, 2), (2, 50, 30, 4), (2, 50, 80, 1), (3, 40, 40, 8),
         (4, 10, 100, 8), (4, 40, 40, 4), (3, 20, 60, 4)]

CONFIG = """
model: {family: cifar, depth: 11, cardinality: 8, base_width: 16, classes: 10}
data: {size: 8, resize: 8, threads: 1, synthetic: {images: 100000}}
batch: {per_rank: 2}
optimizer: {base_lr: 0.001}
"""


def run(*command, check=True, **options):
    return subprocess.run([str(c) for c in command], check=check, text=True, **options)


def burst_bytes(mbit):
    return int(mbit * 1e6 / 8 * BURST_S) + 2 * MTU


def name_of(host):
    return f"rxhost{host}"


class Switch(threading.Thread):
    """Hands frames from tap to tap, `delay` seconds after they came."""

    def __init__(self, taps, delay):
        super().__init__(daemon=True)
        self.taps, self.delay = taps, delay
        self.wake, self.ended = os.pipe()
        self.waiting, self.numbers = [], itertools.count()

    def ports_of(self, frame, source):
        if frame[0] & 1:  # to all
            return [tap for tap in self.taps if tap != source]
        return [self.taps[frame[5]]]  # the last byte of a host's address is its number

    def run(self):
        # On time, whatever else the machine does: it needs little of it.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        while True:
            until = max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            readable, _, _ = select.select([*self.taps, self.wake], [], [], until)
            if self.wake in readable:
                return
            now = time.monotonic()
            for tap in readable:
                for _ in range(64):
                    try:
                        frame = os.read(tap, 65536)
                    except BlockingIOError:
                        break
                    heapq.heappush(self.waiting,
                                   (now + self.delay, next(self.numbers), tap, frame))
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, source, frame = heapq.heappop(self.waiting)
                for tap in self.ports_of(frame, source):
                    os.write(tap, frame)

    def stop(self):
        os.write(self.ended, b".")
        self.join()


def open_tap(host):
    """A tap in the namespace of `host`; this thread's own namespace is the same afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(namespace):
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace.name}")

    with open("/proc/thread-self/ns/net") as home:
        with open(f"/run/netns/{name_of(host)}") as there:
            enter(there)
        try:
            tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
        finally:
            enter(home)
    return tap


class Hosts:
    """Namespaces, their links and the switch, for as long as it is entered."""

    def __init__(self, count, mbit, delay_ms):
        self.count, self.mbit, self.delay_ms = count, mbit, delay_ms
        self.cleanup = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            switch = Switch([self.host(h, undo) for h in range(self.count)], self.delay_ms / 1000)
            switch.start()
            undo.callback(switch.stop)
            self.cleanup = undo.pop_all()
        return self

    def host(self, host, undo):
        """Makes a host; its tap. ip netns exec shows it the table of names in /etc/netns."""
        folder = pathlib.Path("/etc/netns") / name_of(host)
        folder.mkdir(parents=True)
        undo.callback(folder.rmdir)
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
            f"10.77.0.{h + 1} {name_of(h)}\n" for h in range(self.count)))
        undo.callback((folder / "hosts").unlink)
        run("ip", "netns", "add", name_of(host))
        undo.callback(run, "ip", "netns", "del", name_of(host))
        tap = self.link(host)
        undo.callback(os.close, tap)
        return tap

    def link(self, host):
        tap, name = open_tap(host), name_of(host)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", "eth0", "address", f"02:00:00:00:00:{host:02x}",
            "mtu", MTU, "txqueuelen", 10000)
        run("ip", "-n", name, "addr", "add", f"10.77.0.{host + 1}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
            f"{self.mbit}mbit", "burst", burst_bytes(self.mbit), "latency", "4s")
        for setting in ("tcp_congestion_control=reno", "tcp_slow_start_after_idle=0",
                        "tcp_no_metrics_save=1", "tcp_rmem=4096 4000000 32000000",
                        "tcp_wmem=4096 4000000 4000000"):
            run("ip", "netns", "exec", name, "sysctl", "-q", "-w", f"net.ipv4.{setting}")
        return tap

    def __exit__(self, *_):
        self.cleanup.close()


AGENT = """#!/bin/sh
# What mpirun calls in place of ssh: HOST COMMAND...
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
"""


class Case:
    def __init__(self, arguments, folder, hosts, mbit, delay_ms, bucket):
        self.hosts, self.mbit, self.delay_ms, self.bucket = hosts, mbit, delay_ms, bucket
        self.launcher = pathlib.Path(arguments.bin).resolve() / "resnext_launcher"
        self.steps, self.folder = arguments.steps, folder
        self.config = folder / "cluster.yaml"
        self.config.write_text(CONFIG)
        self.agent = folder / "agent.sh"
        self.agent.write_text(AGENT)
        self.agent.chmod(0o755)

    def environment(self):
        mca = {"plm_rsh_agent": self.agent, "btl": "tcp,self", "pml": "ob1",
               # Handshakes of two ranks would wait behind each other's data on the connection.
               "btl_tcp_eager_limit": EAGER_BYTES, "btl_tcp_rndv_eager_limit": EAGER_BYTES,
               "btl_tcp_max_send_size": EAGER_BYTES, "btl_tcp_free_list_num": 2,
               "btl_tcp_free_list_inc": 2, "btl_tcp_if_include": "eth0", "oob_tcp_if_include": "eth0",
               "coll_tuned_use_dynamic_rules": 1, "coll_tuned_allreduce_algorithm": 4,  # ring
               "mpi_yield_when_idle": 1}
        return {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                **{f"OMPI_MCA_{key}": str(value) for key, value in mca.items()}}

    def scale(self, *words):
        return [self.launcher, "scale", self.config, f"comm.bucket_mib={self.bucket}",
                f"comm.first_bucket_mib={self.bucket}", "comm.backend=mpi", *words]

    def measuring(self, name, *words):
        return self.scale("--steps", self.steps, "--warmup", self.steps // 3, "-o",
                          self.folder / name, *words)

    def points(self, name):
        return json.loads((self.folder / name / "scale.json").read_text())["points"]

    def compute_alone(self):
        """Times of one rank, while as many as there are hosts compute."""
        names = [f"alone-{host}" for host in range(self.hosts)]
        with open(self.folder / "alone.log", "w") as log:
            processes = [subprocess.Popen([str(w) for w in self.measuring(name, "--ranks", 1)],
                                          env=self.environment(), stdout=log, stderr=log)
                         for name in names]
            codes = [process.wait() for process in processes]
        if any(codes):
            sys.exit((self.folder / "alone.log").read_text())
        points = [self.points(name)[0] for name in names]
        mean = {key: statistics.mean(p[key] for p in points) for key in points[0]}
        file = self.folder / "alone.json"
        file.write_text(json.dumps({"points": [{**mean, "ranks": 1}]}))
        return file

    def measured(self):
        hosts = ",".join(f"{name_of(h)}:1" for h in range(self.hosts))
        command = self.measuring("measured", "--ranks", self.hosts, "--hosts", hosts)
        quoted = " ".join(f"'{word}'" for word in command)
        with open(self.folder / "measured.log", "w") as log:
            code = run(self.agent, name_of(0), f"exec {quoted}", env=self.environment(),
                       stdout=log, stderr=log, check=False).returncode
        if code != 0:
            sys.exit((self.folder / "measured.log").read_text())
        return self.points("measured")[0]

    def predicted(self, alone):
        """A message that finds the shaper rested is shorter by its burst."""
        gb_per_s = self.mbit * 1e6 / 8 * PAYLOAD_SHARE / 1e9
        latency_us = self.delay_ms * 1000 - 8 * burst_bytes(self.mbit) / self.mbit
        out = run(*self.scale("--predict", "--json", "--from", alone, "--ranks", self.hosts,
                              "--ranks-per-host", 1, "--all-reduce", "ring", "--spread", 0,
                              "--latency", latency_us,
                              "--bandwidth", gb_per_s), capture_output=True).stdout
        return json.loads(out)[0]

    def result(self):
        alone = self.compute_alone()
        with Hosts(self.hosts, self.mbit, self.delay_ms):
            measured = self.measured()
        predicted = self.predicted(alone)
        return {"hosts": self.hosts, "mbit_per_s": self.mbit, "delay_ms": self.delay_ms,
                "bucket_mib": self.bucket, "compute_ms": predicted["compute_ms"],
                "predicted_ms": predicted["step_ms"], "measured_ms": measured["step_ms"],
                "predicted_exposed_ms": predicted["exposed_comm_ms"],
                "measured_exposed_ms": measured["exposed_comm_ms"],
                "error_percent": 100 * (predicted["step_ms"] / measured["step_ms"] - 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bin")
    parser.add_argument("--json")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--case", type=int, action="append", help="from 1; default: all")
    arguments = parser.parse_args()
    results = []
    print("hosts  Mbit/s  delay ms  bucket MiB  compute ms  predicted ms  measured ms  error %")
    for number in arguments.case or range(1, len(CASES) + 1):
        with tempfile.TemporaryDirectory() as folder:
            r = Case(arguments, pathlib.Path(folder), *CASES[number - 1]).result()
        results.append(r)
        print(f"{r['hosts']:5}  {r['mbit_per_s']:6}  {r['delay_ms']:8}  {r['bucket_mib']:10}  "
              f"{r['compute_ms']:10.1f}  {r['predicted_ms']:12.1f}  {r['measured_ms']:11.1f}  "
              f"{r['error_percent']:+7.1f}", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")
    return max(abs(r["error_percent"]) for r in results) > 10


if __name__ == "__main__":
    sys.exit(main())
