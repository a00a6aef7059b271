"""The same training step in PyTorch, to be measured beside step_benchmark.

  torchrun --nproc-per-node 2 pytorch_ddp.py [DEPTH CARDINALITY BASE_WIDTH BATCH SIZE STEPS WARMUP]

Eager mode, channels-last, DistributedDataParallel over gloo with gradients as bucket views.
"""
# SPDX-License-Identifier: BSD-3-Clause
import os
import pathlib
import resource
import statistics
import sys
import time

import torch
from torch import distributed

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import torch_twin  # noqa: E402

depth, cardinality, base_width, batch, size, steps, warmup = (
    [int(a) for a in sys.argv[1:]] + [50, 32, 4, 8, 224, 12, 2][len(sys.argv) - 1:])
rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
torch.manual_seed(rank)
network = torch_twin.ResNeXt(family="imagenet", depth=depth, cardinality=cardinality,
                             base_width=base_width, classes=1000)
network = network.to(memory_format=torch.channels_last)
if world > 1:
    distributed.init_process_group("gloo")
    network = torch.nn.parallel.DistributedDataParallel(network, gradient_as_bucket_view=True)
sgd = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, nesterov=True,
                      fused=True)
images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
labels = torch.randint(0, 1000, (batch,))
times = []
for step in range(warmup + steps):
    start = time.perf_counter()
    sgd.zero_grad()
    torch.nn.functional.cross_entropy(network(images), labels).backward()
    sgd.step()
    if step >= warmup:
        times.append(time.perf_counter() - start)
if rank == 0:
    median = statistics.median(times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"pytorch ResNeXt-{depth} {cardinality}x{base_width}d w{world} bs{batch} {size} px "
          f"{torch.get_num_threads()} threads: step {1000 * median:.0f} ms  peak {peak:.0f} MiB "
          f"a rank  {batch * world / median:.2f} img/s", flush=True)
