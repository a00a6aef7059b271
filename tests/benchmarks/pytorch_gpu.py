#!/usr/bin/env python3
"""The same training step in PyTorch on one GPU, to be measured beside step_benchmark.

  pytorch_gpu.py [--depth 50 --cardinality 32 --base-width 4 --batch 256 --compute bf16 --compile]

Channels-last, autocast, fused SGD, gradients set to none, synthetic input that lies on the GPU in
the type that the network computes in. A step's time is that of ten in a row over ten, as
step_benchmark measures it; peak memory is what PyTorch has reserved. Needs no torchvision and no
network.
"""
# SPDX-License-Identifier: BSD-3-Clause
import argparse
import json
import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import torch_twin  # noqa: E402

TOGETHER = 10  # steps that are timed at once
CLASSES = 1000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--cardinality", type=int, default=32)
    parser.add_argument("--base-width", type=int, default=4)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=12, help="blocks of ten steps that are timed")
    parser.add_argument("--warmup", type=int, default=6, help="steps before them")
    parser.add_argument("--compute", choices=("bf16", "fp16", "tf32", "fp32"), default="bf16")
    parser.add_argument("--compile", nargs="?", const="default", metavar="MODE",
                        help="torch.compile, in its mode MODE")
    parser.add_argument("--device", default="cuda", help="cpu: to try this script")
    parser.add_argument("--json", help="file for the figures")
    return parser.parse_args()


def set_precision(compute):
    torch.set_float32_matmul_precision("high" if compute == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = compute == "tf32"
    torch.backends.cudnn.benchmark = True
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(compute, torch.float32)


class Step:
    """One training step; its figures are those that step_benchmark takes."""

    def __init__(self, a):
        self.dtype = set_precision(a.compute)
        self.device = a.device
        torch.manual_seed(1)
        network = torch_twin.ResNeXt(family="imagenet", depth=a.depth, cardinality=a.cardinality,
                                     base_width=a.base_width, classes=CLASSES)
        network = network.to(a.device, memory_format=torch.channels_last)
        self.sgd = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4,
                                   nesterov=True, fused=True)
        self.scaler = torch.amp.GradScaler(a.device, enabled=a.compute == "fp16")
        self.network = torch.compile(network, mode=a.compile) if a.compile else network
        images = torch.randn(a.batch, 3, a.size, a.size)
        self.images = images.to(a.device, self.dtype).contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(0, CLASSES, (a.batch,)).to(a.device)

    def __call__(self):
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(self.network(self.images), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.sgd)
        self.scaler.update()
        self.sgd.zero_grad(set_to_none=True)


def measure(a):
    """Seconds of a step, of each block."""
    step = Step(a)
    synchronise = torch.cuda.synchronize if a.device == "cuda" else lambda: None
    for _ in range(a.warmup):
        step()
    times = []
    for _ in range(a.steps):
        synchronise()
        start = time.perf_counter()
        for _ in range(TOGETHER):
            step()
        synchronise()
        times.append((time.perf_counter() - start) / TOGETHER)
    return times


def main():
    a = arguments()
    times = sorted(measure(a))
    median = times[len(times) // 2]  # as step_benchmark takes it
    gpu = a.device == "cuda"
    peak = torch.cuda.max_memory_reserved() / 2**20 if gpu else 0
    name = torch.cuda.get_device_name() if gpu else a.device
    how = f"compile {a.compile}" if a.compile else "eager"
    rate = a.batch / median
    print(f"pytorch {torch.__version__} ResNeXt-{a.depth} {a.cardinality}x{a.base_width}d "
          f"bs{a.batch} {a.size} px {a.compute} {name} {how}: step {1000 * median:.4g} ms  peak "
          f"{peak:.0f} MiB  {rate:.2f} img/s", flush=True)
    if a.json:
        figures = {"device": name, "batch": a.batch, "compute": a.compute, "how": how,
                   "images_per_second": rate, "step_ms": 1000 * median, "peak_mib": peak}
        pathlib.Path(a.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
