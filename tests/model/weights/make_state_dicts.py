#!/usr/bin/env python3
"""Weights files as PyTorch writes them, and what PyTorch sees in ours; used by state_dict_test.

  make_state_dicts.py write DIR       the files that state_dict_test reads (kept in golden/)
  make_state_dicts.py describe FILE   JSON of torch.load(FILE, weights_only=True)

Element i of a tensor holds i / 8 - 1 (in the order of its indices), or i for integers and
i % 3 == 0 for bool, so that the reader can check every value without a second file.
"""
# SPDX-License-Identifier: BSD-3-Clause
import argparse
import collections
import json
import pathlib
import sys

import torch


def ramp(shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    steps = torch.arange(count, dtype=torch.float64)
    if dtype is torch.bool:
        values = steps % 3 == 0
    elif dtype.is_floating_point:
        values = steps / 8 - 1
    else:
        values = steps
    return values.to(dtype).reshape(shape)


DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
          torch.int16, torch.int8, torch.uint8, torch.bool)


def typical():
    """Like a module's state_dict: OrderedDict with _metadata, channels-last, a 0-dim counter."""
    state = collections.OrderedDict()
    state["conv1.weight"] = ramp((4, 3, 2, 2)).contiguous(memory_format=torch.channels_last)
    state["bn1.weight"] = torch.nn.Parameter(ramp((4,)))
    state["bn1.num_batches_tracked"] = torch.tensor(7)
    shared = ramp((6, 5))
    state["fc.weight"] = shared
    state["fc.transposed"] = shared.t()
    state["fc.row"] = shared[2]
    state["empty"] = torch.empty(0, 3)
    state._metadata = collections.OrderedDict({"": {"version": 1}, "bn1": {"version": 2}})
    return state


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(typical(), folder / "typical.pt")
    torch.save(typical(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({str(dtype).removeprefix("torch."): ramp((3, 2), dtype) for dtype in DTYPES},
               folder / "dtypes.pt")
    parallel = collections.OrderedDict(("module." + k, v) for k, v in typical().items())
    torch.save({"epoch": 3, "best": torch.tensor(76.5), "lr": 0.1, "none": None, "big": 1 << 80,
                "negative": -(1 << 40), "dtype": torch.float16, "shape": torch.Size([1, 2]),
                "device": torch.device("cpu"), "history": [1, 2.5, (True, "x")],
                "state_dict": parallel}, folder / "nested.pth")
    torch.save({"options": argparse.Namespace(lr=1), "weight": ramp((2,))}, folder / "foreign.pt")
    torch.save(typical(), folder / "protocol4.pt", pickle_protocol=4)
    torch.serialization.set_crc32_options(False)
    torch.save(typical(), folder / "no_crc.pt")


def describe(path):
    state = torch.load(path, weights_only=True)
    json.dump({name: {"dtype": str(tensor.dtype).removeprefix("torch."),
                      "shape": list(tensor.shape), "stride": list(tensor.stride()),
                      "values": tensor.to(torch.float64).flatten().tolist()}
               for name, tensor in state.items()}, sys.stdout)


if __name__ == "__main__":
    mode, target = sys.argv[1:]
    if mode == "write":
        write(pathlib.Path(target))
    else:
        describe(target)
