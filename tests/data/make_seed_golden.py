#!/usr/bin/env python3
# Makes tests/data/golden/*.f32: what the seed's transforms give, in float64, as float32 on a scale of 0..255.
# SPDX-License-Identifier: BSD-3-Clause
#
# Usage: make_seed_golden.py   (needs numpy; reads golden/source.ppm)
# Written from the descriptions of torch/image (image.scale 'bicubic': corners stay corners, a cubic through four
# pixels, straight lines beyond the edges, nothing limited) and of fb.resnet.torch (datasets/transforms.lua), pixel by
# pixel. Random numbers are those of data/keyed_random.h, in the order in which data/ draws them.
import math
import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent / "golden"
MASK = (1 << 64) - 1
GREY = np.array([0.299, 0.587, 0.114])
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def read_ppm(name):
    data = (OUT / name).read_bytes()
    magic, width, height, _ = data.split(maxsplit=4)[:4]
    assert magic == b"P6"
    pixels = np.frombuffer(data[-int(width) * int(height) * 3:], dtype=np.uint8)
    return pixels.reshape(int(height), int(width), 3) / 255


def save(name, image):
    (image * 255).astype("<f4").tofile(OUT / f"{name}.f32")


def stretch(line, count):
    """One row or column of pixels [n, 3] to `count` of them."""
    n = len(line)
    if n == count:
        return line.copy()
    out = np.empty((count, 3))
    step = np.float32(n - 1) / np.float32(max(count - 1, 1))
    for i in range(count - 1):
        place = np.float32(i) * step
        k = int(place)
        x = float(place - np.float32(k))
        p1, p2 = line[k], line[min(k + 1, n - 1)]
        p0 = line[k - 1] if k > 0 else 2 * p1 - p2
        p3 = line[k + 2] if k + 2 < n else 2 * p2 - p1
        a1, a2 = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3
        a3 = 3 * (p1 - p2) + p3 - p0
        out[i] = p1 + 0.5 * x * (a1 + x * (a2 + x * a3))
    out[count - 1] = line[n - 1]
    return out


def scale(image, height, width):
    rows = np.stack([stretch(row, width) for row in image])
    return np.stack([stretch(rows[:, x], height) for x in range(width)], axis=1)


def scale_shorter(image, size):
    height, width = image.shape[:2]
    if min(height, width) == size:
        return image
    if width < height:
        return scale(image, int(height / width * size), size)
    return scale(image, size, int(width / height * size))


def centre(image, size):
    top = math.ceil((image.shape[0] - size) / 2)
    left = math.ceil((image.shape[1] - size) / 2)
    return image[top:top + size, left:left + size]


def blend(image, reference, a):
    return image * a + (1 - a) * reference


def grey(image):
    return np.repeat((image @ GREY)[..., None], 3, axis=2)


OPERATIONS = [
    lambda image, a: blend(image, 0, a),  # brightness
    lambda image, a: blend(image, grey(image).mean(), a),  # contrast
    lambda image, a: blend(image, grey(image), a),  # saturation
]


class KeyedRandom:
    """data/keyed_random.h: SplitMix64 from a hash of the key."""

    def __init__(self, *key):
        self.state = 0
        for part in key:
            self.state = self.mix(((self.state ^ part) + 0x9E3779B97F4A7C15) & MASK)

    @staticmethod
    def mix(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        return self.mix(self.state)

    def below(self, bound):
        while True:
            product = self.next() * bound
            if product & MASK >= (1 << 64) % bound:
                return product >> 64

    def uniform(self, low=0.0, high=1.0):
        return low + (high - low) * ((self.next() >> 11) * 2.0**-53)

    def normal(self):
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())


def random_sized_crop(image, size, random):
    height, width = image.shape[:2]
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1)
        aspect = random.uniform(3 / 4, 4 / 3)
        w = math.floor(math.sqrt(area * aspect) + 0.5)
        h = math.floor(math.sqrt(area / aspect) + 0.5)
        if random.uniform() < 0.5:
            w, h = h, w
        if h <= height and w <= width:
            top = random.below(height - h + 1)
            left = random.below(width - w + 1)
            return scale(image[top:top + h, left:left + w], size, size)
    return centre(scale_shorter(image, size), size)


def train(image, size, key):
    random = KeyedRandom(*key)
    image = random_sized_crop(image, size, random)
    mirrored = random.uniform() < 0.5
    order = [0, 1, 2]
    for left in (3, 2):
        other = random.below(left)
        order[left - 1], order[other] = order[other], order[left - 1]
    for operation in order:
        image = OPERATIONS[operation](image, 1 + random.uniform(-0.4, 0.4))
    alpha = np.array([0.1 * random.normal() for _ in range(3)])
    image = image + EIGENVECTORS @ (alpha * EIGENVALUES)
    return image[:, ::-1] if mirrored else image


def main():
    source = read_ppm("source.ppm")
    for height, width in [(20, 30), (45, 30), (20, 67), (60, 80), (7, 9), (1, 1)]:
        save(f"torch_bicubic_{height}x{width}", scale(source, height, width))
    save("validation_seed", centre(scale_shorter(source, 32), 28))
    small = read_ppm("resize_bilinear_20x30.ppm")
    brightness, contrast, saturation = OPERATIONS
    save("colour_brightness", brightness(small, 1.313))
    save("colour_contrast", contrast(small, 0.65))
    save("colour_saturation", saturation(small, 1.4))
    every = brightness(saturation(contrast(small, 1.37), 0.61), 0.8) + np.array([0.05, -0.02, 0.01])
    save("colour_all", every)
    save("colour_other_order", contrast(brightness(saturation(small, 1.2), 1.1), 0.9))
    for index in range(6):
        save(f"train_seed_{index}", train(source, 24, (2, 1, 0, index)))  # RandomUse::kAugment, seed 1, epoch 0


if __name__ == "__main__":
    main()
