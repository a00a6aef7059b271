#!/usr/bin/env python3
"""check_export.py FOLDER: networks that we exported give our logits in other programs.

FOLDER holds for each network NAME.safetensors with "images" and our "logits" of them; NAME.t7, which
is read by the format's description and run module by module with PyTorch; and NAME.onnx and
NAME.folded.onnx, which onnx checks and onnxruntime runs. Exit code 77: this Python lacks those two,
all else is well.
"""
# SPDX-License-Identifier: BSD-3-Clause
import json
import pathlib
import struct
import sys

import torch
from torch.nn import functional as F

try:
    import onnx
    import onnxruntime
except ImportError:
    onnxruntime = None

TOLERANCE = 1e-5  # of the largest logit


def read_safetensors(path):
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    tensors = {}
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(
            entry["shape"])
    return tensors


def expect_close(found, wanted, what):
    difference = ((found - wanted).abs().max() / wanted.abs().max()).item()
    print(f"{what}: relative difference {difference:.1e}")
    assert difference < TOLERANCE, what


# ---- Torch7 ---------------------------------------------------------------------------------

class Module:
    def __init__(self, kind):
        self.kind, self.fields = kind, {}

    def __getattr__(self, name):
        return self.fields[name]


class Reader:
    """Torch7's binary serialisation (File.lua)."""
    DTYPES = {"Float": ("f", torch.float32), "Double": ("d", torch.float64), "Long": ("q", None)}

    def __init__(self, data):
        self.data, self.at, self.known = data, 0, {}

    def take(self, layout):
        value, = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return value

    def text(self):
        return self.take(f"{self.take('i')}s").decode()

    def read(self):
        tag = self.take("i")
        if tag in (3, 4):
            index = self.take("i")
            if index not in self.known:
                (self.table if tag == 3 else self.torch)(index)
            return self.known[index]
        return {0: lambda: None, 1: lambda: self.take("d"), 2: self.text,
                5: lambda: bool(self.take("i"))}[tag]()

    def table(self, index):
        table = self.known[index] = {}
        for _ in range(self.take("i")):
            key = self.read()
            table[key] = self.read()

    def torch(self, index):
        assert self.text() == "V 1"
        kind = self.text()
        if kind.startswith("torch."):
            base, part = kind[6:], "Tensor" if kind.endswith("Tensor") else "Storage"
            layout, dtype = self.DTYPES[base.removesuffix(part)]
            self.known[index] = self.tensor(dtype) if part == "Tensor" else self.storage(layout)
        else:
            module = self.known[index] = Module(kind)
            module.fields = self.read()

    def storage(self, layout):
        count = self.take("q")
        values = struct.unpack_from(f"<{count}{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{count}{layout}")
        return values

    def tensor(self, dtype):
        count = self.take("i")
        sizes, strides = [[self.take("q") for _ in range(count)] for _ in range(2)]
        offset = self.take("q") - 1
        storage = self.read()
        if storage is None:
            return torch.empty(0)
        return torch.tensor(storage, dtype=dtype).as_strided(sizes, strides, offset)


def window(m):
    return {"stride": (int(m.dH), int(m.dW)), "padding": (int(m.padH), int(m.padW))}


def run(m, x):
    """What the module computes, by nn's documentation."""
    kind = m.kind.split(".")[1]
    parts = [m.modules[float(i + 1)] for i in range(len(m.modules))] if "modules" in m.fields else []
    if kind == "Sequential":
        for part in parts:
            x = run(part, x)
        return x
    if kind == "ConcatTable":
        return [run(part, x) for part in parts]
    if kind == "Concat":
        return torch.cat([run(part, x) for part in parts], int(m.dimension) - 1)
    if kind == "JoinTable":
        return torch.cat(x, int(m.dimension) - 1)
    if kind == "CAddTable":
        return sum(x)
    if kind == "Identity":
        return x
    if kind == "MulConstant":
        return x * m.constant_scalar
    if kind == "ReLU":
        return x.relu()
    if kind == "SpatialConvolution":
        assert m.kind.startswith("cudnn") == ("groups" in m.fields)
        assert m.weight.shape[2:] == (m.kH, m.kW) and m.weight.shape[0] == m.nOutputPlane
        assert x.shape[1] == m.nInputPlane
        return F.conv2d(x, m.weight, groups=int(m.fields.get("groups", 1)), **window(m))
    if kind == "SpatialBatchNormalization":
        return F.batch_norm(x, m.running_mean, m.running_var, m.weight, m.bias, eps=m.eps)
    if kind == "SpatialMaxPooling":
        return F.max_pool2d(x, (int(m.kH), int(m.kW)), ceil_mode=m.ceil_mode, **window(m))
    if kind == "SpatialAveragePooling":
        return F.avg_pool2d(x, (int(m.kH), int(m.kW)), **window(m))
    if kind == "View":
        return x.reshape(-1, *m.size)
    assert kind == "Linear", m.kind
    return F.linear(x, m.weight, m.bias)


def check_t7(path, images, logits):
    reader = Reader(path.read_bytes())
    network = reader.read()
    assert reader.at == len(reader.data)
    expect_close(run(network, images), logits, path.name)


# ---- ONNX -----------------------------------------------------------------------------------

def check_onnx(path, images, logits):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]
    assert {e.key: e.value for e in model.metadata_props} == {"mean": "[0.5]"}
    kinds = {node.op_type for node in model.graph.node}
    assert ("BatchNormalization" in kinds) != path.name.endswith(".folded.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for values, name, shape in ((session.get_inputs(), "images", images.shape),
                                (session.get_outputs(), "logits", logits.shape)):
        assert [(v.name, v.type, v.shape) for v in values] == [
            (name, "tensor(float)", ["batch", *shape[1:]])], values
    for count in (len(images), 1):
        found = session.run(["logits"], {"images": images[:count].numpy()})[0]
        expect_close(torch.from_numpy(found), logits[:count], f"{path.name}, batch {count}")


def main(folder):
    torch.set_grad_enabled(False)
    checks = {"t7": check_t7}
    if onnxruntime:
        checks["onnx"] = check_onnx
    for kind, check in checks.items():
        files = sorted(folder.glob("*." + kind))
        assert files, kind
        for path in files:
            tensors = read_safetensors(folder / (path.name.split(".")[0] + ".safetensors"))
            check(path, tensors["images"], tensors["logits"])
    return 0 if onnxruntime else 77


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
