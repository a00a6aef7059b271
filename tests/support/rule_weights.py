"""Weights, images and labels by a rule that Python and C++ (rule_weights.h) compute alike.

value(name, i) is in [-1, 1), bit-identical in float64 on both sides:

  h = FNV-1a, 64 bits, of the name's UTF-8 bytes (offset basis 14695981039346656037, prime
      1099511628211), then z = h + (i + 1) * 0x9E3779B97F4A7C15 mod 2^64 through the output function
      of splitmix64 (Steele, Lea, Flood 2014): z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27;
      z *= 0x94D049BB133111EB; z ^= z >> 31
  value = (z >> 11) * 2^-52 - 1

i counts a tensor's elements in the row-major order of its shape, whatever its strides. A tensor is
filled by its name and shape:

  4-D (convolution)                    value * sqrt(6 / (out * k * k))   the variance of He's normal
  2-D (linear)                         value * sqrt(1 / in)
  *.bn3.weight                         0.2 + 0.05 * value
  other 1-D *.weight, *.running_var    1 + 0.25 * value
  *.running_mean, 1-D *.bias           0.1 * value
  *.num_batches_tracked                0

The small scale of each block's last BN keeps training well-conditioned: with 1 in its place, a
change of 1e-12 in the images grows to 0.2 in the sixth loss of a rank with two images.

Images are 2 * value("images", i) over [N, 3, S, S]; label n of C classes is
floor((value("labels", n) + 1) / 2 * C).
"""
# SPDX-License-Identifier: BSD-3-Clause
import numpy
import torch

CHUNK = 1 << 18  # elements at a time: stays in the cache
U64 = numpy.uint64


def _hash_name(name):
    state = 14695981039346656037
    for byte in name.encode():
        state = (state ^ byte) * 1099511628211 % (1 << 64)
    return state


def _chunk(state, first, count):
    index = numpy.arange(first + 1, first + 1 + count, dtype=U64)
    z = index * U64(0x9E3779B97F4A7C15) + U64(state)
    z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
    z ^= z >> U64(31)
    return (z >> U64(11)).astype(numpy.float64) * 2.0**-52 - 1.0


def values(name, count):
    """The first `count` values of `name`, float64."""
    state = _hash_name(name)
    result = numpy.empty(count)
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        result[first:first + size] = _chunk(state, first, size)
    return torch.from_numpy(result)


def filled(name, shape):
    """The tensor `name` of a state_dict by the rule, float64."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.float64)
    value = values(name, torch.Size(shape).numel()).reshape(shape)
    if len(shape) == 4:
        return value * (6.0 / (shape[0] * shape[2] * shape[3]))**0.5
    if len(shape) == 2:
        return value * (1.0 / shape[1])**0.5
    if name.endswith("bn3.weight"):
        return 0.2 + 0.05 * value
    if name.endswith(("running_var", "weight")):
        return 1.0 + 0.25 * value
    return 0.1 * value


def fill(module):
    """Fills parameters and buffers of a module in place."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(filled(name, tensor.shape))
    return module


def images(count, size):
    return 2.0 * values("images", count * 3 * size * size).reshape(count, 3, size, size)


def labels(count, classes):
    return ((values("labels", count) + 1.0) / 2.0 * classes).floor().long()
