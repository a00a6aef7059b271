#!/usr/bin/env python3
"""safetensors by the published format, without the library; used by safetensors_test.

  safetensors.py write FILE      a file by the rule of make_state_dicts.py, prefixed with "model."
  safetensors.py describe FILE   JSON of what a file holds
"""
# SPDX-License-Identifier: BSD-3-Clause
import json
import math
import struct
import sys

FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "I16": "h", "I8": "b",
           "U8": "B", "BOOL": "?"}


def value(i, dtype):
    if dtype == "BOOL":
        return i % 3 == 0
    return i / 8 - 1 if dtype[0] == "F" else i


def write(path):
    header, data = {"__metadata__": {"format": "pt", "dtype": "{}"}}, b""
    for name, dtype, shape in (("conv1.weight", "F32", [4, 3, 2, 2]), ("empty.weight", "F16", [0, 3]),
                               ("bn1.num_batches_tracked", "I64", []), ("half.weight", "F16", [3]),
                               ("byte.weight", "U8", [5]), ("flag.weight", "BOOL", [2]),
                               ("double.weight", "F64", [2]), ("fc.weight", "F32", [2, 3])):
        count = math.prod(shape)
        packed = struct.pack(f"<{count}{FORMATS[dtype]}", *(value(i, dtype) for i in range(count)))
        header["model." + name] = {"dtype": dtype, "shape": shape,
                                   "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def describe(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    assert header.pop("__metadata__") == {"format": "pt"}
    end, tensors = 0, {}
    for name, entry in header.items():
        begin, new_end = entry["data_offsets"]
        assert begin == end and (8 + length + begin) % struct.calcsize(FORMATS[entry["dtype"]]) == 0
        end = new_end
        count = math.prod(entry["shape"])
        values = struct.unpack(f"<{count}{FORMATS[entry['dtype']]}", data[begin:end])
        tensors[name] = {"dtype": entry["dtype"], "shape": entry["shape"], "values": values}
    assert end == len(data)
    print(json.dumps(tensors))


if __name__ == "__main__":
    {"write": write, "describe": describe}[sys.argv[1]](sys.argv[2])
