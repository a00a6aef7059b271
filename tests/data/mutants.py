#!/usr/bin/env python3
"""mutants.py BUILD [TEXT]: changes each constant of recipes, crops and augmentation, one at a time, and shows
that data_image_test falls; restores the source after each. With TEXT only those that hold it. Prints
those that survive; exit code 1.

SPDX-License-Identifier: BSD-3-Clause
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import mutants  # noqa: E402

MUTANTS = [  # file, what stands there, what shall stand there
    ("data/crop.cpp", "kTries = 10", "kTries = 8"),
    ("data/crop.cpp", "kMinArea = 0.08", "kMinArea = 0.35"),
    ("data/crop.cpp", "kMinArea = 0.08", "kMinArea = 0.09"),
    ("data/crop.cpp", "kMinAspect = 3.0 / 4", "kMinAspect = 0.8"),
    ("data/crop.cpp", "kMaxAspect = 4.0 / 3", "kMaxAspect = 1.4"),
    ("data/crop.cpp", "std::exp(random.uniform(std::log(kMinAspect), std::log(kMaxAspect)))",
     "random.uniform(kMinAspect, kMaxAspect)"),
    ("data/crop.cpp", "random.chance(0.5)", "random.chance(0.4)"),
    ("data/crop.cpp", "std::ceil(margin)", "std::floor(margin)"),
    ("data/transforms.cpp", "0.02, 0.33", "0.02, 0.4"),
    ("data/transforms.cpp", "0.02, 0.33", "0.05, 0.33"),
    ("data/transforms.cpp", "std::log(0.3), std::log(3.3)", "std::log(0.5), std::log(3.3)"),
    ("data/transforms.cpp", "std::log(0.3), std::log(3.3)", "std::log(0.3), std::log(2.0)"),
    ("data/trivial_augment.cpp", "135 * part", "13.5 * part"),
    ("data/trivial_augment.cpp", "255 * (1 - part)", "255 * part"),
    ("data/trivial_augment.cpp", "std::trunc(32 * part)", "std::trunc(30 * part)"),
    ("data/trivial_augment.cpp", "std::nearbyint(6 * part)", "std::nearbyint(4 * part)"),
    ("data/trivial_augment.cpp", "0.99 * part", "0.9 * part"),
    ("data/trivial_augment.cpp", "random.chance(0.5)", "random.chance(0.45)"),
    ("data/trivial_augment.cpp", "i < 128", "i < 130"),
    ("data/rand_augment.cpp", "kLevels = 10", "kLevels = 9"),
    ("data/rand_augment.cpp", "kDegrees = 30", "kDegrees = 45"),
    ("data/rand_augment.cpp", "kShear = 0.3", "kShear = 0.33"),
    ("data/rand_augment.cpp", "kTranslation = 0.45", "kTranslation = 0.3"),
    ("data/rand_augment.cpp", "kEnhancement = 0.9", "kEnhancement = 0.8"),
    ("data/rand_augment.cpp", "kLeastFactor = 0.1", "kLeastFactor = 0.2"),
    ("data/rand_augment.cpp", "kAdded = 110", "kAdded = 128"),
    ("data/rand_augment.cpp", "std::trunc(4 * part)", "std::trunc(5 * part)"),
    ("data/rand_augment.cpp", "std::trunc(256 * part)", "std::trunc(255 * part)"),
    ("data/rand_augment.cpp", "options.increasing) && random.chance(0.5)",
     "options.increasing) && random.chance(0.4)"),
    ("data/rand_augment.cpp", "!sampling && random.chance(0.5)", "!sampling && random.chance(0.4)"),
    ("data/rand_augment.cpp", "std::clamp(level, 0.0, kLevels)", "std::clamp(level, 0.0, 8.0)"),
    ("data/rand_augment.cpp", "options.deviation * random.normal()", "random.normal()"),
    ("data/warp.cpp", "2 * (v[0] - v[1])", "3 * (v[0] - v[1])"),
    ("data/recipe.cpp", "options.training && random.chance(0.5)", "options.training && random.chance(0.6)"),
    ("data/trivial_augment.cpp", "kind <= Augmentation::kSharpness", "kind < Augmentation::kSharpness"),
    ("data/trivial_augment.h", "kStrengths = 31", "kStrengths = 30"),
    ("data/trivial_augment.h", "kAugmentations = 14", "kAugmentations = 13"),
    ("data/trivial_augment.cpp", "4 * p[0]", "5 * p[0]"),
    ("data/recipe.cpp", "kCifarPadding = 4", "kCifarPadding = 3"),
    ("data/recipe.cpp", "kSeedJitter = 0.4", "kSeedJitter = 0.38"),
    ("data/recipe.cpp", "kSeedJitter = 0.4", "kSeedJitter = 0.04"),
    ("data/recipe.cpp", "kSeedLighting = 0.1", "kSeedLighting = 0"),
    ("data/recipe.cpp", "kSeedLighting = 0.1", "kSeedLighting = 0.11"),
    ("data/recipe.cpp", "kErasing = 0.1", "kErasing = 0.9"),
    ("data/recipe.cpp", "kErasing = 0.1", "kErasing = 0.12"),
    ("data/recipe.cpp", "  map.apply(out, size * size);\n  if (random.chance(0.5))",
     "  map.apply(out, size * size);\n  if (random.chance(0.45))"),
    ("data/recipe.cpp", "               out);\n  if (random.chance(0.5))",
     "               out);\n  if (random.chance(0.45))"),
    ("data/recipe.cpp", "kNone && random.chance(0.5)", "kNone && random.chance(0.55)"),
    ("data/recipe.cpp", "std::max(scale, 1.0)) + 2", "std::max(scale, 1.0)) * 0"),
    ("data/resample.cpp", "mirrored ? out_count - 1 - i : i", "i"),
    ("data/torch_bicubic.cpp", "static_cast<float>(n - 1) /", "static_cast<float>(n) /"),
    ("data/torch_bicubic.cpp", "x * (4 - 3 * x)", "x * (4 - 2 * x)"),
    ("data/torch_bicubic.cpp", "add(p1, 2 * w0)", "add(p1, w0)"),
    ("data/torch_bicubic.cpp", "add(p1, -w3)", "add(p1, w3)"),
    ("data/recipe.cpp", "  colour_jitter(map, kSeedJitter, random);\n  lighting(map, kSeedLighting, random);",
     "  lighting(map, kSeedLighting, random);\n  colour_jitter(map, kSeedJitter, random);"),
    ("data/colour.cpp", "0.299, 0.587, 0.114", "0.3, 0.6, 0.1"),
    ("data/colour.cpp", "0.2175, 0.0188, 0.0045", "0.2275, 0.0188, 0.0045"),
    ("data/colour.cpp", "0.2175, 0.0188, 0.0045", "0.2175, 0.0288, 0.0045"),
    ("data/colour.cpp", "0.2175, 0.0188, 0.0045", "0.2175, 0.0188, 0.0245"),
    ("data/colour.cpp", "{-0.5808, -0.0045, -0.8140}", "{-0.5808, -0.0045, 0.8140}"),
    ("data/colour.cpp", "random.uniform(-strength, strength)", "random.uniform(0, strength)"),
]


mutants.run([mutants.Mutant(*mutant, test="data_image_test") for mutant in MUTANTS])
