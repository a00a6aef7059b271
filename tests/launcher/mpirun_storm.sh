#!/usr/bin/env bash
# mpirun_storm.sh BIN TESTBIN: kills mpirun again and again under `run --max-restarts`, and watches the ranks.
# SPDX-License-Identifier: BSD-3-Clause
#
# MPIRUN_STORM_KILLS (default 5) times kill -9 of mpirun, with one rank stopped (SIGSTOP) before every other
# one. A sampler looks every few milliseconds: no moment has ranks of two attempts, and none is left at the
# end, nor of a launcher that is killed itself. The run must finish with the weights of one that nobody disturbed.
set -euo pipefail
bin=$1 testbin=$2 kills=${MPIRUN_STORM_KILLS:-5}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1
"$testbin/make_tiny_data" "$work/train.h5" 96
python3 - "$bin" "$root" "$work" "$kills" <<'PYTHON'
import os, signal, subprocess, sys, threading, time
bin, root, work, kills = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def start(output, steps):
    command = [f"{bin}/resnext_launcher", "run", f"{root}/configs/tiny.yaml", "-n", "2", "--max-restarts", "1000",
               "--backoff", "0", f"data.train={work}/train.h5", "data.size=16", "data.resize=16", "data.recipe=none",
               "run.epochs=1000000", f"run.steps={steps}", "checkpoint.every_epochs=0", "checkpoint.every_steps=10",
               "log.every_steps=1000", "comm.timeout_s=20", f"run.output={work}/{output}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{work}/{output}.log", "w"))


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def ranks(output="storm"):
    """The live ranks of a run: pid -> the mpirun that has started them, by its session in their environment."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        words = read(f"/proc/{name}/cmdline").split(b"\0")
        if b"resnext_worker" not in words[0] or f"run.output={work}/{output}".encode() not in words:
            continue
        if read(f"/proc/{name}/stat").rpartition(b")")[2][1:2] in (b"Z", b"X", b""):
            continue
        for variable in read(f"/proc/{name}/environ").split(b"\0"):
            if variable.startswith(b"PMIX_NAMESPACE="):
                found[int(name)] = variable
    return found


def children(pid):
    output = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in output.split()]


def newest():
    try:
        names = [n for n in os.listdir(f"{work}/storm/checkpoints") if n.startswith("step-") and "partial" not in n]
    except OSError:
        return ""
    return max(names, default="")


samples, both, done = 0, 0, False


def sample():
    global samples, both
    while not done:
        both += len(set(ranks().values())) > 1
        samples += 1
        time.sleep(0.002)


steps = 100 * (kills + 1)
storm = start("storm", steps)
sampler = threading.Thread(target=sample)
sampler.start()
last, killed = "", 0
while killed < kills and storm.poll() is None:
    if newest() == last:
        time.sleep(0.01)
        continue
    starters = children(storm.pid)
    living = sorted(ranks())
    if len(starters) != 1 or len(living) != 2:
        time.sleep(0.01)
        continue
    last = newest()
    if killed % 2:
        os.kill(living[killed // 2 % 2], signal.SIGSTOP)
    os.kill(starters[0], signal.SIGKILL)
    killed += 1
    while any(os.path.exists(f"/proc/{pid}") for pid in starters):
        time.sleep(0.002)
code = storm.wait(600)
done = True
sampler.join()
left = ranks()

# A launcher that is killed takes mpirun and the ranks with it.
killed_launcher = start("orphan", 1000000)
while len(ranks("orphan")) < 2 and killed_launcher.poll() is None:
    time.sleep(0.01)
killed_launcher.kill()
killed_launcher.wait()
deadline = time.monotonic() + 60
while ranks("orphan") and time.monotonic() < deadline:
    time.sleep(0.01)
orphans = ranks("orphan")
for pid in orphans:
    os.kill(pid, signal.SIGKILL)

undisturbed = start("undisturbed", steps).wait(600)
model = f"checkpoints/step-{steps:08d}/model.pt"
same = read(f"{work}/storm/{model}") == read(f"{work}/undisturbed/{model}") != b""
print(f"{len(orphans)} orphans of a killed launcher")
print(f"{killed} x kill -9 of mpirun, {samples} samples: {both} with ranks of two attempts, {len(left)} left; "
      f"exit codes {code} and {undisturbed}; {'same' if same else 'OTHER'} weights")
if code or undisturbed or both or left or orphans or not same or killed < kills:
    sys.stderr.write(open(f"{work}/storm.log").read()[-3000:])
    sys.exit(1)
PYTHON
