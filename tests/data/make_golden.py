#!/usr/bin/env python3
# Makes tests/data/golden: images that Pillow and torchvision computed, as references.
# SPDX-License-Identifier: BSD-3-Clause
#
# Usage: make_golden.py   (needs numpy, pillow, torch, torchvision, timm)
# The files are committed; run this again only to add cases. Images are synthetic.
import pathlib

import numpy as np
import timm.data.auto_augment as timm_augment
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import _apply_op

OUT = pathlib.Path(__file__).parent / "golden"
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def synthetic(height, width, seed):
    """Waves, an edge and noise: smooth parts, sharp parts and texture."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    channels = [
        128 + 110 * np.sin(x / 7 + y / 23 + c) * np.cos(y / (11 + 3 * c)) for c in range(3)
    ]
    image = np.stack(channels, axis=-1) + random.normal(0, 12, (height, width, 3))
    image[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 60)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def save(name, image):
    image.convert("RGB").save(OUT / f"{name}.ppm")


def resizes():
    source = synthetic(45, 67, 1)
    save("source", source)
    for name, kernel in FILTERS.items():
        for height, width in [(20, 30), (45, 30), (20, 67), (90, 140), (7, 9)]:
            save(f"resize_{name}_{height}x{width}", source.resize((width, height), kernel))
        box = (3.5, 2.25, 60.5, 40.75)  # left, top, right, bottom
        save(f"box_{name}_24x26", source.resize((26, 24), kernel, box=box))
    evaluate = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(28)])
    save("validation_torchvision", evaluate(source))
    region = source.crop((11, 5, 11 + 41, 5 + 33))
    save("crop_5_11_33x41_to_28", region.resize((28, 28), Image.BILINEAR))


def augmentations():
    source = synthetic(40, 40, 2)
    save("square", source)
    cases = [("ShearX", 0.3), ("ShearX", -0.66), ("ShearY", 0.45), ("TranslateX", 9.0)]
    cases += [("TranslateY", -13.0), ("Rotate", 31.5), ("Rotate", -117.0), ("Brightness", 0.5)]
    cases += [("Brightness", -0.8), ("Color", 0.7), ("Color", -0.6), ("Contrast", 0.6)]
    cases += [("Contrast", -0.4), ("Sharpness", 0.9), ("Sharpness", -0.7), ("Posterize", 3.0)]
    cases += [("Solarize", 119.0), ("AutoContrast", 0.0), ("Equalize", 0.0)]
    for name, magnitude in cases:
        image = source
        if name == "AutoContrast":  # an image that does not use all values
            image = Image.fromarray((np.asarray(source) // 2 + 40).astype(np.uint8))
            save("square_dull", image)
        done = _apply_op(image, name, magnitude, InterpolationMode.NEAREST, None)
        save(f"augment_{name}_{magnitude:g}", done)


def warps():
    """Between pixels, and with a colour where there is no image."""
    source = Image.open(OUT / "square.ppm")
    grey = (124, 116, 104)
    for name, kernel in FILTERS.items():
        save(f"warp_{name}_rotate", source.rotate(31.5, kernel, fillcolor=grey))
        for kind, map in [("shear", (1, 0.27, 0, 0, 1, 0)), ("move", (1, 0, -5.4, 0, 1, 0))]:
            moved = source.transform(source.size, Image.AFFINE, map, kernel, fillcolor=grey)
            save(f"warp_{name}_{kind}", moved)
    save("augment_Invert", timm_augment.invert(source))
    save("augment_SolarizeAdd_77", timm_augment.solarize_add(source, 77))


def rand_augment():
    """What a level means for timm's kinds: kind, increasing, side, level, arguments of both signs."""
    lines = []
    for increasing in (False, True):
        for name in timm_augment.rand_augment_choices("", increasing):
            to_argument = timm_augment.LEVEL_TO_ARG[name]
            for side in (160, 224):
                for level in np.arange(0, 10.5, 0.5):
                    arguments = []
                    for negative in (False, True):
                        timm_augment.random.random = lambda n=negative: 0.9 if n else 0.1
                        found = to_argument(level, {}) if to_argument else (0,)
                        scale = side if name.startswith("Translate") else 1
                        arguments.append(found[0] * scale)
                    kind = name.replace("Increasing", "").replace("Rel", "")
                    lines.append(f"{kind} {int(increasing)} {side} {level:g} "
                                 f"{arguments[0]:.17g} {arguments[1]:.17g}")
    (OUT / "rand_augment.txt").write_text("\n".join(lines) + "\n")


def encoded():
    """Files as others write them, and their pixels."""
    source = synthetic(59, 83, 3)
    files = {
        "444.jpg": (source, dict(quality=85, subsampling=0)),
        "422.jpg": (source, dict(quality=85, subsampling=1)),
        "420.jpg": (source, dict(quality=85, subsampling=2)),
        "progressive.jpg": (source, dict(quality=85, progressive=True)),
        "restart.jpg": (source, dict(quality=85, restart_marker_rows=1)),
        "grey.jpg": (source.convert("L"), dict(quality=85)),
        "cmyk.jpg": (source.convert("CMYK"), dict(quality=90)),
        "rgb.png": (source, {}),
        "rgba.png": (source.convert("RGBA"), {}),
        "grey.png": (source.convert("L"), {}),
        "bilevel.png": (source.convert("1"), {}),
        "palette.png": (source.quantize(16), {}),
    }
    for name, (image, options) in files.items():
        image.save(OUT / name, **options)
        save(name.replace(".", "_"), Image.open(OUT / name))
    wide = np.asarray(source.convert("L")).astype(np.uint16) * 256 + 77
    Image.fromarray(wide).save(OUT / "grey16.png")
    save("grey16_png", source.convert("L"))


def more_formats():
    source = synthetic(59, 83, 3)
    files = {
        "rgb.webp": (source, dict(lossless=True)),
        "lossy.webp": (source, dict(quality=80)),
        "rgb.bmp": (source, {}),
        "palette.bmp": (source.quantize(16), {}),
        "grey.bmp": (source.convert("L"), {}),
        "rgb.tif": (source, {}),
        "lzw.tif": (source, dict(compression="tiff_lzw")),
        "deflate.tif": (source, dict(compression="tiff_adobe_deflate")),
        "grey.tif": (source.convert("L"), {}),
    }
    for orientation in range(2, 9):
        files[f"orientation{orientation}.tif"] = (synthetic(5, 7, 3), dict(tiffinfo={274: orientation}))
    for name, (image, options) in files.items():
        image.save(OUT / name, **options)
        save(name.replace(".", "_"), Image.open(OUT / name))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    resizes()
    augmentations()
    warps()
    rand_augment()
    encoded()
    more_formats()
