#!/usr/bin/env python3
"""mutants.py BUILD [TEXT]: changes each constant of the recipes' presets, one at a time, and shows that
configs_yaml_reader_test falls (tests/support/mutants.py).

SPDX-License-Identifier: BSD-3-Clause
"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import mutants  # noqa: E402

PRESETS = ("torchvision_v*", "nvidia_*", "rsb_*", "goyal_*", "mlperf_*")
FAMILIES = {"true": "false", "false": "true", "step": "cosine", "cosine": "step", "polynomial": "cosine",
            "lars": "sgd", "lamb": "sgd", "bce": "cross_entropy", "rand": "trivial", "trivial": "none",
            "random": "bilinear", "bilinear": "bicubic", "resnet": "C", "torchvision": "cifar"}


def other(value):
    """Another value that a key of this kind may have; None for names and paths."""
    if re.fullmatch(r"[\d.]+(e-?\d+)?", value):
        return f"{float(value) * 1.001:.10g}" if "." in value else str(int(value) + 1)
    return FAMILIES.get(value)


def mutants_of(path):
    """One for each value, told from others by the key before it."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0]
        for match in re.finditer(r"([\w]+: \[?)([\w.-]+)", text):
            if other(match[2]) is None:
                continue
            changed = line[:match.start(2)] + other(match[2]) + line[match.end(2):]
            found.append(mutants.Mutant(str(path.relative_to(mutants.ROOT)), f"\n{line}\n", f"\n{changed}\n",
                                        "configs_yaml_reader_test", "RecipePresets.*", builds=False))
    return found


files = [path for preset in PRESETS for path in sorted((mutants.ROOT / "configs").glob(preset + ".yaml"))]
mutants.run([mutant for path in files for mutant in mutants_of(path)])
