#!/usr/bin/env python3
"""weights_round_trip.py WORKER: torchvision -> resnext_worker --export -> torchvision, bit for bit.

Three ResNeXts with random weights and statistics, through .pt and .safetensors.
"""
# SPDX-License-Identifier: BSD-3-Clause
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import torch
import torchvision

NETWORKS = {"resnext50_32x4d": (50, 32, 4), "resnext101_32x8d": (101, 32, 8),
            "resnext101_64x4d": (101, 64, 4)}


def with_statistics(model):
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.dim() == 1:
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() == 0:
                tensor.fill_(12345)
    return model


def read_safetensors(path):
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    dtypes = {"F32": torch.float32, "I64": torch.int64}
    state = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            flat = torch.frombuffer(bytearray(data[begin:end]), dtype=dtypes[entry["dtype"]])
            state[name] = flat.reshape(entry["shape"])
    return state


def main(worker):
    for name, (depth, cardinality, width) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            original = with_statistics(getattr(torchvision.models, name)())
            wanted = original.state_dict()
            torch.save({"model": wanted, "epoch": 1}, folder / "theirs.pth")
            (folder / "c.yaml").write_text(f"model: {{depth: {depth}, cardinality: {cardinality}, "
                                           f"base_width: {width}}}\n")
            for ending, read in ((".pt", lambda p: torch.load(p, weights_only=True)),
                                 (".safetensors", read_safetensors)):
                ours = folder / ("ours" + ending)
                source = folder / "theirs.pth" if ending == ".pt" else folder / "ours.pt"
                subprocess.run([worker, folder / "c.yaml", "--export", ours,
                                f"model.pretrained={source}", "comm.backend=mpi"], check=True)
                state = read(ours)
                getattr(torchvision.models, name)().load_state_dict(state, strict=True)
                assert set(state) == set(wanted), name
                for key, tensor in wanted.items():
                    assert state[key].dtype == tensor.dtype and torch.equal(state[key], tensor), key
            print(f"{name}: {len(wanted)} tensors equal")


if __name__ == "__main__":
    main(sys.argv[1])
