#!/usr/bin/env python3
"""inference_twin.py BIN [FOLDER]: what the worker says of images, beside torchvision.

A ResNeXt-50 32x4d of torchvision with random weights and statistics; the images of FOLDER (one folder
a class; without it, pictures that are drawn here). Evaluation, classes and features, each at the usual
size, at a larger one and of ten crops, must agree to 1e-4 with torchvision's transforms and network.
TWIN_SIZES="224 256 320" are the side, the resize and the larger side.

SPDX-License-Identifier: BSD-3-Clause
"""
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T

BIN = Path(sys.argv[1])
ROOT = Path(__file__).resolve().parents[2]
SIDE, RESIZE, LARGE = map(int, os.environ.get("TWIN_SIZES", "48 56 72").split())
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOLERANCE = 1e-4


def draw(folder):
    random = numpy.random.default_rng(1)
    for i in range(12):
        low = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=numpy.uint8))
        picture = low.resize((90 + 7 * i, 80 + 3 * i), Image.Resampling.BICUBIC)
        where = folder / f"class {i % 3}"
        where.mkdir(parents=True, exist_ok=True)
        picture.save(where / f"{i:02}.jpg", quality=92)


def random_network(classes):
    torch.manual_seed(1)
    network = torchvision.models.resnext50_32x4d(num_classes=classes)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # so that activations stay in a usual range
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.3, 0.6)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    torch.nn.init.normal_(network.fc.weight, 0, 0.5)
    return network.eval()


class Case:
    def __init__(self, name, side, resize, crops):
        self.name = name
        self.words = [f"data.evaluation_size={side}", f"data.resize={resize}", f"data.crops={crops}"]
        crop = T.TenCrop(side) if crops == 10 else T.Lambda(lambda x: [T.CenterCrop(side)(x)])
        to_tensor = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
        self.transform = T.Compose([T.Resize(resize), crop,
                                    T.Lambda(lambda xs: torch.stack([to_tensor(x) for x in xs]))])

    def expected(self, network, files):
        """Features [N, F] and logits [N, classes], means over the crops."""
        features, logits = [], []
        network.fc, head = torch.nn.Identity(), network.fc
        with torch.no_grad():
            for file in files:
                one = network(self.transform(Image.open(file).convert("RGB")))
                features.append(one.mean(0))
                logits.append(head(one).mean(0))
        network.fc = head
        return torch.stack(features), torch.stack(logits)


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stderr}")
    return done.stdout


def check(what, found, expected):
    scale = max(1.0, float(expected.abs().max()))
    worst = float((found - expected).abs().max()) / scale
    print(f"  {what:14} differs by {worst:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(f"{what} differs by {worst}")


def compare(case, network, files, labels, work, worker):
    print(case.name)
    features, logits = case.expected(network, files)
    probabilities = logits.double().softmax(1)
    count = logits.shape[1]

    lines = run(*worker, *case.words, "--json", "--classify", *files).splitlines()
    for row, line in enumerate(lines):
        for one in json.loads(line)["classes"]:
            probabilities[row, one["class"]] -= one["probability"]
    best5 = logits.topk(min(5, count), 1).indices
    check("probabilities", probabilities.gather(1, best5), torch.zeros(len(files), best5.shape[1]))

    run(*worker, *case.words, "--force", "--features", work / "features.h5")
    with h5py.File(work / "features.h5") as file:
        check("features", torch.from_numpy(file["features"][:]), features)
        assert file["labels"][:].tolist() == labels.tolist()

    found = json.loads(run(*worker, *case.words, "--evaluate", "--force", "--json", "--per-class",
                           work / "classes.csv", "--confusion", work / "confusion.csv"))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    check("loss", torch.tensor(found["loss"]), loss)
    predicted = logits.argmax(1)
    assert abs(found["top1"] - 100 * float((predicted == labels).double().mean())) < 1e-9
    with open(work / "classes.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            mine = labels == int(row["class"])
            share = 100 * float((predicted[mine] == labels[mine]).double().mean())
            assert int(row["images"]) == int(mine.sum()) and abs(float(row["top1"]) - share) < 1e-3
    with open(work / "confusion.csv", encoding="utf-8") as file:
        table = {(int(r["true"]), int(r["predicted"])): int(r["images"]) for r in csv.DictReader(file)}
    assert table == {pair: list(zip(labels.tolist(), predicted.tolist())).count(pair)
                     for pair in zip(labels.tolist(), predicted.tolist())}


def main():
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else work / "pictures"
        if len(sys.argv) <= 2:
            draw(folder)
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        files = [file for c in classes for file in sorted((folder / c).iterdir())]
        labels = torch.tensor([classes.index(file.parent.name) for file in files])
        run(BIN / "resnext_data", "pack", "imagefolder", folder, work / "validation.h5",
            "--order", "sorted")
        network = random_network(len(classes))
        torch.save(network.state_dict(), work / "network.pth")
        worker = [BIN / "resnext_worker", ROOT / "configs/resnext50_32x4d.yaml",
                  f"model.pretrained={work / 'network.pth'}", f"model.classes={len(classes)}",
                  f"data.validation={work / 'validation.h5'}", f"run.output={work / 'run'}",
                  "data.recipe=torchvision", f"data.size={SIDE}", "batch.per_rank=8",
                  "batch.global=0"]
        for case in (Case("usual", SIDE, RESIZE, 1), Case("larger", LARGE, LARGE, 1),
                     Case("ten crops", SIDE, RESIZE, 10)):
            compare(case, network, files, labels, work, worker)
        print(f"{len(files)} images in {len(classes)} classes agree")


main()
