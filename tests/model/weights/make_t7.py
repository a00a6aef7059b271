#!/usr/bin/env python3
"""make_t7.py DIR: small networks as Torch7 saves the seed's; used by t7_test.

An independent writer of Torch7's binary serialisation (File.lua), and beside each NAME.t7 the
tensors that should be read from it, NAME.safetensors.
"""
# SPDX-License-Identifier: BSD-3-Clause
import json
import math
import pathlib
import struct
import sys

STORAGES = {"Float": ("f", "F32"), "Cuda": ("f", "F32"), "Double": ("d", "F64"),
            "CudaHalf": ("e", "F16")}


class Object:
    def __init__(self, kind, **fields):
        self.kind, self.fields = kind, fields


class Storage:
    def __init__(self, kind, values):
        self.kind, self.values = kind, list(values)


class Tensor:
    def __init__(self, storage, sizes, offset=0):
        self.storage, self.sizes, self.offset = storage, sizes, offset

    def values(self):
        return self.storage.values[self.offset:self.offset + math.prod(self.sizes)]


class Function:
    pass


class Writer:
    def __init__(self):
        self.data, self.known = b"", {}

    def put(self, layout, *values):
        self.data += struct.pack("<" + layout, *values)

    def text(self, text):
        self.put("i", len(text))
        self.data += text.encode()

    def index(self, thing):
        """Whether the object is new: then its content follows."""
        new = id(thing) not in self.known
        self.put("i", self.known.setdefault(id(thing), len(self.known) + 1))
        return new

    def write(self, thing):
        if thing is None:
            self.put("i", 0)
        elif isinstance(thing, bool):
            self.put("ii", 5, thing)
        elif isinstance(thing, (int, float)):
            self.put("id", 1, thing)
        elif isinstance(thing, str):
            self.put("i", 2)
            self.text(thing)
        elif isinstance(thing, Function):
            self.put("i", 8)
            if self.index(thing):
                self.text("\x1bLJ dumped")
                self.write({})
        elif isinstance(thing, dict):
            self.put("i", 3)
            if self.index(thing):
                self.put("i", len(thing))
                for key, value in thing.items():
                    self.write(key)
                    self.write(value)
        else:
            self.put("i", 4)
            if self.index(thing):
                self.text("V 1")
                self.torch(thing)

    def torch(self, thing):
        if isinstance(thing, Tensor):
            kind = thing.storage.kind if thing.storage else "Float"
            self.text(f"torch.{kind}Tensor")
            strides = [math.prod(thing.sizes[i + 1:]) for i in range(len(thing.sizes))]
            n = len(thing.sizes)
            self.put(f"i{n}q{n}qq", n, *thing.sizes, *strides, thing.offset + 1)
            self.write(thing.storage)
        elif isinstance(thing, Storage):
            self.text(f"torch.{thing.kind}Storage")
            self.put(f"q{len(thing.values)}{STORAGES[thing.kind][0]}", len(thing.values),
                     *thing.values)
        else:
            self.text(thing.kind)
            self.write(thing.fields)


class Network:
    """Modules of one package; the tensors that they should become."""

    def __init__(self, package, kind, flat=False, convolution_shape="4"):
        self.package, self.kind, self.shape = package, kind, convolution_shape
        self.expected, self.next = {}, 0
        self.shared = Storage(kind, []) if flat else None

    def tensor(self, name, sizes, saved_sizes=None):
        count = math.prod(sizes)
        values = [(self.next + i) % 1024 / 4 for i in range(count)]
        self.next += count
        if self.shared:  # getParameters() and flattenParameters() make one storage of all
            storage, offset = self.shared, len(self.shared.values)
            storage.values += values
        else:
            storage, offset = Storage(self.kind, values), 0
        self.expected[name] = (sizes, values)
        return Tensor(storage, saved_sizes or sizes, offset)

    def module(self, kind, **fields):
        empty = Tensor(None, [])
        return Object(kind, output=empty, gradInput=empty, train=False, _type="torch.FloatTensor",
                      __memoryOptimized=True, hook=Function(), **fields)

    def container(self, kind, *modules):
        return self.module("nn." + kind, modules={i + 1: m for i, m in enumerate(modules)})

    def convolution(self, name, n_in, n_out, k, stride=1, groups=1):
        sizes = [n_out, n_in // groups, k, k]
        saved = {"4": sizes, "5": [groups, n_out // groups, *sizes[1:]],
                 "2": [n_out, math.prod(sizes[1:])]}[self.shape]
        weight = self.tensor(name + ".weight", sizes, saved)
        grad = Tensor(Storage(self.kind, [9.0] * math.prod(sizes)), saved)
        return self.module(f"{self.package}.SpatialConvolution", weight=weight, gradWeight=grad,
                           nInputPlane=n_in, nOutputPlane=n_out, kW=k, kH=k, dW=stride, dH=stride,
                           padW=k // 2, padH=k // 2, groups=groups)

    def norm(self, name, channels):
        tensors = {part: self.tensor(f"{name}.{part}", [channels])
                   for part in ("weight", "bias", "running_mean", "running_var")}
        return self.module(f"{self.package}.SpatialBatchNormalization", eps=1e-5, momentum=0.1,
                           affine=True, nDim=4, save_mean=Tensor(None, []), **tensors)

    def relu(self):
        return self.module(f"{self.package}.ReLU", inplace=True, threshold=0, val=0)

    def layers(self, name, numbers, shapes):
        modules = []
        for number, (n_in, n_out, k, stride, groups) in zip(numbers, shapes):
            modules += [self.convolution(f"{name}.conv{number}", n_in, n_out, k, stride, groups),
                        self.norm(f"{name}.bn{number}", n_out), self.relu()]
        return modules

    def block(self, name, n_in, d, c, n_out, stride, form):
        last = (d * c, n_out, 1, 1, 1)
        if form == "C":
            shapes = [(n_in, d * c, 1, 1, 1), (d * c, d * c, 3, stride, c), last]
            modules = self.layers(name, (1, 2, 3), shapes)[:-1]
        else:
            paths = [self.container("Sequential", *self.layers(
                f"{name}.paths.{j}", (1, 2), [(n_in, d, 1, 1, 1), (d, d, 3, stride, 1)]))
                for j in range(c)]
            modules = [self.container("ConcatTable", *paths),
                       self.module("nn.JoinTable", dimension=2),
                       *self.layers(name, (3,), [last])[:-1]]
        shortcut = self.module("nn.Identity")
        if n_in != n_out:
            shortcut = self.container(
                "Sequential", self.convolution(f"{name}.downsample.0", n_in, n_out, 1, stride),
                self.norm(f"{name}.downsample.1", n_out))
        branches = self.container("ConcatTable", self.container("Sequential", *modules), shortcut)
        return self.container("Sequential", branches, self.module("nn.CAddTable", inplace=True),
                              self.relu())

    def network(self, form, pool):
        modules = [self.convolution("conv1", 3, 8, 3), self.norm("bn1", 8), self.relu()]
        if pool:
            modules.append(self.module(f"{self.package}.SpatialMaxPooling", kW=3, kH=3))
        n_in = 8
        for stage in range(3):
            d, n_out = 2 << stage, 16 << stage
            blocks = [self.block(f"layer{stage + 1}.0", n_in, d, 2, n_out, 1 + (stage > 0), form),
                      self.block(f"layer{stage + 1}.1", n_out, d, 2, n_out, 1, form)]
            modules.append(self.container("Sequential", *blocks))
            n_in = n_out
        modules += [self.module("nn.SpatialAveragePooling"), self.module("nn.View", numElements=n_in),
                    self.module("nn.Linear", weight=self.tensor("fc.weight", [5, n_in]),
                                bias=self.tensor("fc.bias", [5]))]
        return self.container("Sequential", *modules)

    def save_expected(self, path):
        layout, dtype = STORAGES[self.kind]
        header, data = {}, b""
        for name, (sizes, values) in self.expected.items():
            packed = struct.pack(f"<{len(values)}{layout}", *values)
            header[name] = {"dtype": dtype, "shape": sizes,
                            "data_offsets": [len(data), len(data) + len(packed)]}
            data += packed
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def save(path, thing):
    writer = Writer()
    writer.write(thing)
    path.write_bytes(writer.data)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cases = {"form_c": (Network("cudnn", "Float"), "C", True),
             "form_b": (Network("nn", "Float"), "B", False),
             "cuda": (Network("cudnn", "Cuda", flat=True), "C", False),
             "groups_first": (Network("cudnn", "Double", convolution_shape="5"), "C", True),
             "matrices": (Network("nn", "CudaHalf", convolution_shape="2"), "B", False)}
    for name, (network, form, pool) in cases.items():
        model = network.network(form, pool)
        if name == "cuda":
            model = Object("nn.DataParallelTable", dimension=1, modules={1: model}, gpuAssignments={1: 1})
        save(folder / f"{name}.t7", {"model": model, "epoch": 3} if name == "form_b" else model)
        network.save_expected(folder / f"{name}.safetensors")
    save(folder / "latest.t7", {"epoch": 3, "modelFile": "model_3.t7", "optimFile": "optimState_3.t7"})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
