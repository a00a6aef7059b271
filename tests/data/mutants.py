#!/usr/bin/env python3
"""mutants.py BUILD [TEXT]: changes each constant of recipes, crops and augmentation, and what packing JPEG rests
on, one at a time, and shows that a test falls; restores the source after each. With TEXT only those that hold it.
Prints those that survive; exit code 1.

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

CROPPABLE = [  # the same of how JPEG is written croppable and compared
    # Something else is written: not the same image, so it is not taken.
    ("data/croppable_jpeg.cpp", "      jpeg_write_coefficients(&out,",
     "      ++out.quant_tbl_ptrs[0]->quantval[9];\n      jpeg_write_coefficients(&out,"),
    ("data/croppable_jpeg.cpp", "  bytes.resize(destination.size());",
     "  bytes.resize(destination.size());\n  bytes[bytes.size() / 2] ^= 1;"),
    # One coefficient is spoiled before it is written.
    ("data/croppable_jpeg.cpp", "  const JpegCoefficients coefficients(source);",
     "  const JpegCoefficients coefficients(source);\n  const_cast<JCOEF&>(coefficients.row(0, 0)[0][1]) ^= 1;"),
    ("data/croppable_jpeg.cpp", "if (!coefficients.complete()) return {};", ""),
    ("data/croppable_jpeg.cpp", "  decoded.guarded([&] { jpeg_start_decompress(&decoded.info()); });\n", ""),
    ("data/jpeg_coefficients.cpp", "component.width_in_blocks * sizeof(JBLOCK)",
     "(component.width_in_blocks - 1) * sizeof(JBLOCK)"),
    ("data/jpeg_coefficients.cpp", "component.width_in_blocks * sizeof(JBLOCK)",
     "component.width_in_blocks * sizeof(JBLOCK) - 2"),
    ("data/jpeg_coefficients.cpp", "    for (JDIMENSION y = 0; y < component.height_in_blocks; ++y) {\n      if (",
     "    for (JDIMENSION y = 1; y < component.height_in_blocks; ++y) {\n      if ("),
    ("data/jpeg_coefficients.cpp", "std::begin(b.quant_table->quantval))", "std::begin(a.quant_table->quantval))"),
    ("data/jpeg_coefficients.cpp", " || a.jpeg_color_space != b.jpeg_color_space", ""),
    ("data/jpeg_coefficients.cpp", "a.image_height != b.image_height ||", ""),
    ("data/huffman_tables.cpp", "a.symbols.front() < b.symbols.front()", "a.symbols.front() > b.symbols.front()"),
    ("data/huffman_tables.cpp", "if (i % kCategories >= 10 &&", "if (i % kCategories > 10 &&"),
    ("data/huffman_tables.cpp", "dc_.begin() + 12", "dc_.begin() + 13"),
    ("data/huffman_tables.cpp", "if (last < 63) ++ends_;", "++ends_;"),
    ("data/huffman_tables.cpp", "    ++dc_[0];\n", ""),
    ("data/huffman_tables.cpp", "if (restart) component.prediction = 0;", ""),
    ("data/huffman_tables.cpp", "static_cast<int64_t>((step - 1) / 16)", "static_cast<int64_t>(step / 16)"),
    ("data/huffman_tables.cpp", "      codes[shorter + 1] += 2;", "      codes[shorter + 1] += 1;"),
]
PACKING = [
    ("data/parallel_pack.cpp", "options.croppable ? \"croppable\" : \"unchanged\"", "\"croppable\""),
    ("data/parallel_pack.cpp", "inputs_.label_of(input(i))", "inputs_.label_of(i)"),
    ("data/pack_hdf5.cpp", "packing.croppable)", "true)"),
    ("data/pack_hdf5.cpp", "if (encoded) return", "if (false) return"),
    ("data/parallel_pack.cpp", "    inputs.check_source();\n", ""),
    ("data/stored_image.cpp", "  decode_image(encoded, image);\n", ""),
    ("data/stored_image.cpp", "is_stored_unchanged(encoded) ? encoded", "true ? encoded"),
]

mutants.run([mutants.Mutant(*mutant, test="data_image_test") for mutant in MUTANTS] +
            [mutants.Mutant(*mutant, test="data_image_test", only="*Jpeg*:Huffman*") for mutant in CROPPABLE] +
            [mutants.Mutant(*mutant, test="data_packer_test", only="Pack*:Resumable*-*KilledAtItsFileCalls")
             for mutant in PACKING])
