#!/usr/bin/env python3
"""What PyTorch computes with the weights, images and labels of tests/support/rule_weights.py.

  make_golden.py golden FILE          writes golden/parity.json: logits and losses of SGD steps
  make_golden.py rule FILE            writes golden/rule.json: tensors, images and labels by the rule
  make_golden.py live FOLDER          NAME.pt (random weights) and NAME.json (its logits) of
                                      resnext50_32x4d, and of a network with squeeze-and-excitation
                                      and timm's names: for tests that run PyTorch beside ours
  make_golden.py check-ours FILE...   JSON {file: logits} of state_dicts that we wrote, loaded with
                                      weights_only=True into the twin, 2 images by rule, float64
  make_golden.py sensitivity          how far a change of 1e-12 in the images moves each loss

The network is tests/support/torch_twin.py; where torchvision can be imported, its logits are
compared with the twin's. The JSON is read by tests/support/golden.h:

  {"torch": VERSION,
   "logits": [{"model": {family, depth, cardinality, base_width, classes[, se_reduction]}, "images", "size",
               "dtype": "float32"|"float64", "logits": [images * classes numbers, row-major]}],
   "steps":  [{"model": ..., "world", "per_rank", "size", "lr", "momentum", "nesterov",
               "weight_decay", "losses": [mean over the ranks of cross entropy, one a step]}]}

Logits are in evaluation mode. Steps are float64, training mode, the same global batch each step;
rank r has images r * per_rank to (r + 1) * per_rank - 1 of it and its own batch statistics, and
gradients are averaged (DistributedDataParallel, gloo).
"""
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import pathlib
import socket
import sys

import torch
from torch import distributed

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import rule_weights  # noqa: E402
import torch_twin  # noqa: E402

R50 = {"family": "imagenet", "depth": 50, "cardinality": 32, "base_width": 4, "classes": 1000}
R101 = {**R50, "depth": 101, "cardinality": 64}
SE50 = {**R50, "cardinality": 4, "base_width": 8, "se_reduction": 16}
CIFAR29 = {"family": "cifar", "depth": 29, "cardinality": 4, "base_width": 16, "classes": 10}

LOGITS = [(CIFAR29, 2, 32), (R50, 2, 224), (R101, 1, 224)]
SGD = {"lr": 1e-4, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}
STEPS, GLOBAL_BATCH, SIZE = 6, 8, 64


# ---- logits ---------------------------------------------------------------------------------

def evaluate(network, images):
    with torch.no_grad():
        return network.to(images.dtype).eval()(images)


def compare_with_torchvision(options, state, images, logits):
    other = torch_twin.torchvision_twin(options)
    if other is not None:
        other.double().load_state_dict(state)
        torch.testing.assert_close(evaluate(other, images), logits, rtol=1e-12, atol=1e-12)


def logits_of(options, state, count, size, dtype=torch.float64):
    images = rule_weights.images(count, size)
    network = torch_twin.ResNeXt(**options).double()
    network.load_state_dict(state)
    logits = evaluate(network, images.to(dtype))
    if dtype is torch.float64:
        compare_with_torchvision(options, state, images, logits)
    return logits.flatten().tolist()


def logits_entries(options, state, count, size):
    return [{"model": options, "images": count, "size": size, "dtype": name,
             "logits": logits_of(options, state, count, size, getattr(torch, name))}
            for name in ("float32", "float64")]


# ---- steps ----------------------------------------------------------------------------------

def train(network, images, labels):
    optimizer = torch.optim.SGD(network.parameters(), **SGD)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def rank_main(rank, world, port, perturbation, out):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(max(1, os.cpu_count() // world))
    distributed.init_process_group("gloo", rank=rank, world_size=world)
    mine = slice(rank * GLOBAL_BATCH // world, (rank + 1) * GLOBAL_BATCH // world)
    images = rule_weights.images(GLOBAL_BATCH, SIZE)[mine] + perturbation
    labels = rule_weights.labels(GLOBAL_BATCH, R50["classes"])[mine]
    network = rule_weights.fill(torch_twin.ResNeXt(**R50).double().train())
    network = torch.nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)
    losses = train(network, images, labels)
    distributed.all_reduce(losses)
    if rank == 0:
        out.put((losses / world).tolist())
    distributed.barrier()
    distributed.destroy_process_group()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def losses_of(world, perturbation=0.0):
    out = torch.multiprocessing.get_context("spawn").SimpleQueue()
    torch.multiprocessing.spawn(rank_main, (world, free_port(), perturbation, out), world)
    return out.get()


def steps_entry(world):
    return {"model": R50, "world": world, "per_rank": GLOBAL_BATCH // world, "size": SIZE, **SGD,
            "losses": losses_of(world)}


# ---- commands -------------------------------------------------------------------------------

def golden(path):
    logits = []
    for options, count, size in LOGITS:
        state = rule_weights.fill(torch_twin.ResNeXt(**options).double()).state_dict()
        logits += logits_entries(options, state, count, size)
    steps = [steps_entry(world) for world in (1, 2, 4)]
    document = {"torch": torch.__version__.split("+")[0], "logits": logits, "steps": steps}
    pathlib.Path(path).write_text(json.dumps(document, separators=(",", ":")) + "\n")


def rule(path):
    shapes = {"conv1.weight": (2, 3, 2, 2), "fc.weight": (3, 4), "fc.bias": (5,),
              "layer1.0.bn1.weight": (4,), "layer1.0.bn3.weight": (4,),
              "layer2.1.bn2.running_mean": (4,), "layer2.1.bn2.running_var": (4,),
              "bn1.num_batches_tracked": ()}
    tensors = {name: {"shape": shape,
                      "values": rule_weights.filled(name, shape).flatten().tolist()}
               for name, shape in shapes.items()}
    document = {"tensors": tensors, "images": rule_weights.images(2, 3).flatten().tolist(),
                "labels": rule_weights.labels(16, 1000).tolist(),
                "millionth": rule_weights.values("far", 1_000_001)[-1].item()}
    pathlib.Path(path).write_text(json.dumps(document, indent=1) + "\n")


def live(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    for name, options, size in (("plain", R50, 224), ("gated", SE50, 64)):
        network = torch_twin.ResNeXt(**options)
        with torch.no_grad():
            for buffer_name, buffer in network.named_buffers():
                if buffer_name.endswith(("running_mean", "running_var")):
                    buffer.uniform_(0.5, 1.5)
        torch.save(network.state_dict(), folder / (name + ".pt"))
        entries = logits_entries(options, network.state_dict(), 2, size)
        document = {"torch": torch.__version__.split("+")[0], "logits": entries, "steps": []}
        (folder / (name + ".json")).write_text(json.dumps(document))


def check_ours(*paths):
    result = {}
    for path in paths:
        state = torch.load(path, weights_only=True)
        options = torch_twin.options_of(state)
        size = 32 if options["family"] == "cifar" else 224
        result[path] = logits_of(options, state, 2, size)
    print(json.dumps(result))


def sensitivity():
    for world in (1, 2, 4):
        base, moved = losses_of(world), losses_of(world, 1e-12)
        print(world, base, [abs(a - b) for a, b in zip(base, moved)])


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    {"golden": golden, "rule": rule, "live": live, "check-ours": check_ours,
     "sensitivity": sensitivity}[command](*arguments)
