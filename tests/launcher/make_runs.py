#!/usr/bin/env python3
"""make_runs.py FOLDER RUNS: run folders as the worker writes them, with invented curves, for looks at the report."""
# SPDX-License-Identifier: BSD-3-Clause
import json
import math
import os
import random
import sys

folder, runs = sys.argv[1], int(sys.argv[2])
random.seed(1)
for i in range(runs):
    cardinality, rate, seed = [1, 2, 4, 8, 16, 32][i // 3 % 6], [0.05, 0.1, 0.2, 0.4][i // 18 % 4], i % 3 + 1
    name = f"{cardinality}x_lr{rate}_seed{seed}" + (f"_{i}" if runs > 72 else "")
    os.makedirs(f"{folder}/{name}", exist_ok=True)
    with open(f"{folder}/{name}/config.yaml", "w") as f:
        f.write(f"run: {{seed: {seed}, epochs: 90, name: {name}, output: {folder}/{name}}}\n"
                f"model: {{cardinality: {cardinality}, base_width: {64 // cardinality or 1}}}\n"
                f"optimizer: {{base_lr: {rate}}}\nschedule: {{kind: {'cosine' if i // 3 % 2 else 'step'}}}\n")
    floor = 22 + 2 / cardinality + 6 * abs(math.log2(rate / 0.1)) / 4 + random.gauss(0, 0.15)
    with open(f"{folder}/{name}/metrics.jsonl", "w") as f:
        def say(**event):
            f.write(json.dumps(event, separators=(",", ":")) + "\n")
        def start(step):
            say(event="start", step=step, world_size=8, device="cuda", global_batch=256, effective_lr=rate,
                parameters=25_000_000 + 40_000 * cardinality, gmac=4.1, steps_per_epoch=5004, total_steps=450_360,
                versions={"resnext": "0.1.0", "libtorch": "2.11.0"})
        start(0)
        end = 90 if i % 7 != 5 else 47
        for k in range(1, end * 5 + 1):
            step, epoch = k * 1000, k / 5
            lr = rate * 0.1 ** (epoch >= 30) * 0.1 ** (epoch >= 60)
            drop = 0.35 + 0.35 * (epoch < 60) + 0.6 * (epoch < 30)
            loss = 0.8 + floor / 40 + drop + 5 * math.exp(-epoch / 3) + random.gauss(0, 0.06)
            say(event="train", step=step, epoch=int(epoch), loss=loss, lr=lr, images_per_second=2900 - 20 * cardinality + random.gauss(0, 40),
                data_wait_ms=0.4, forward_ms=24 + cardinality / 4, backward_ms=49 + cardinality / 2, exposed_comm_ms=3.1 + i % 4, optimizer_ms=1.2)
            if k == 120 and i % 5 == 0:
                say(event="end", step=step, exit_code=75)
                start(step)
            if k % 5 == 0:
                error = floor + 9 * (epoch < 60) * 0.4 + 14 * (epoch < 30) * 0.8 + 60 * math.exp(-epoch / 2.5) + random.gauss(0, 0.2 + (epoch < 30))
                say(event="validation", step=step, epoch=int(epoch) - 1, loss=loss + 0.2, top1=100 - error, top5=100 - error / 3.4, images=50000)
        if end == 90:
            say(event="end", step=450_360, exit_code=0)
        else:
            say(event="end", step=end * 5000, exit_code=77)
