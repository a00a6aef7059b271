#!/usr/bin/env python3
"""Training checkpoints as other programs write them; used by checkpoint_test.

  make_checkpoints.py DIR     each holds the tensors of make_state_dicts.typical(), once or twice

What the programs put beside the weights: torchvision's references/classification/train.py (args,
lr_scheduler, model_ema of AveragedModel), timm's train.py (args, arch, state_dict_ema, metric as a
numpy scalar), PyTorch's examples/imagenet (best_acc1 as a tensor), Lightning (callbacks, numpy,
pathlib), and objects that must stay unopened.
"""
# SPDX-License-Identifier: BSD-3-Clause
import argparse
import collections
import enum
import pathlib
import pickle
import sys

import numpy
import torch

from make_state_dicts import ramp, typical


class Colour(enum.Enum):
    RED = 1


class Trap:
    """Writes a file when it is opened as an object, by REDUCE and by BUILD."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.path),), {"state": 1}


def prefixed(prefix, extra=()):
    state = collections.OrderedDict((prefix + k, v) for k, v in typical().items())
    state.update(extra)
    return state


def optimizer():
    weight = torch.nn.Parameter(ramp((3, 4)))
    sgd = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.grad = torch.ones_like(weight)
    sgd.step()
    steps = torch.optim.lr_scheduler.MultiStepLR(sgd, [30, 60])  # its milestones are a Counter
    return {"optimizer": sgd.state_dict(), "lr_scheduler": steps.state_dict()}


def beside():
    """What is no tensor."""
    return {"args": argparse.Namespace(lr=0.1, milestones=[30], nested=argparse.Namespace(x=1)),
            "counter": collections.Counter("abca"), "best": numpy.float64(76.5),
            "array": numpy.arange(6.0).reshape(2, 3), "default": collections.defaultdict(list, a=[1]),
            "path": pathlib.PurePosixPath("/x"), "colour": Colour.RED, "set": {1, 2},
            "frozen": frozenset("ab"), "bytes": b"xyz", "array_of_bytes": bytearray(b"xyz"),
            "complex": 1 + 2j, "slice": slice(1, 2), "ordered": collections.OrderedDict(a=1),
            "function": torch.nn.functional.relu, "class": argparse.ArgumentParser, "big": 1 << 3000,
            "dtype": torch.float16, "device": torch.device("cpu"), "nan": float("nan")}


def files(folder):
    ema = prefixed("module.", {"n_averaged": torch.tensor(5)})
    compiled = prefixed("_orig_mod.")
    second = collections.OrderedDict((k, v.to(torch.float64)) for k, v in typical().items())
    yield "torchvision.pth", {"model": typical(), **optimizer(), "epoch": 3, **beside()}
    yield "torchvision_ema.pth", {"model": second, **optimizer(), "epoch": 3, "model_ema": ema,
                                  "args": beside()["args"]}
    yield "timm.pth.tar", {"epoch": 3, "arch": "resnext50_32x4d", "state_dict": compiled,
                           **optimizer(), "version": 2, "args": beside()["args"],
                           "amp_scaler": {"scale": 65536.0}, "metric": numpy.float64(1)}
    yield "timm_ema.pth.tar", {"state_dict": second, "state_dict_ema": compiled, "version": 2}
    yield "examples_imagenet.pth.tar", {"epoch": 1, "state_dict": prefixed("module."),
                                        "best_acc1": torch.tensor(76.5), **optimizer()}
    yield "lightning.ckpt", {"pytorch-lightning_version": "2.4.0", "callbacks": {}, "loops": {},
                             "state_dict": prefixed("model.backbone."), "hyper_parameters": beside(),
                             "optimizer_states": [optimizer()["optimizer"]]}
    for name in ("model_state_dict", "net", "network", "weights", "params"):
        yield name + ".pt", {name: typical(), "epoch": 1}
    for prefix in ("_orig_mod.", "module._orig_mod.", "module.module.", "model.",
                   "_orig_mod.module.model.", "net.", "_fsdp_wrapped_module."):
        yield "prefix_" + prefix.replace(".", "-") + ".pt", prefixed(prefix)
    yield "nested_twice.pt", {"checkpoint": {"model": prefixed("module.")}}
    yield "tuple.pt", (typical(), optimizer()["optimizer"])
    yield "mean_beside.pt", {"mean": ramp((3,)), "std": ramp((3,)), "state_dict": typical()}
    yield "default_dict.pt", collections.defaultdict(int, typical())
    yield "trap.pt", {"trap": Trap(folder / "sprung"), "state_dict": typical(),
                      Trap(folder / "sprung"): 1}
    yield "module.pt", torch.nn.Sequential(torch.nn.Linear(2, 2))


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files(folder):
        torch.save(content, folder / name)
    everything = {"model": typical(), **optimizer(), **beside()}
    for protocol in (2, 3, 4, 5):
        torch.save(everything, folder / f"protocol{protocol}.pt", pickle_protocol=protocol)
        torch.save(everything, folder / f"legacy{protocol}.pt", pickle_protocol=protocol,
                   _use_new_zipfile_serialization=False)
    assert pickle.HIGHEST_PROTOCOL == 5


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
