#!/usr/bin/env python3
"""Times another program's loader: torchvision | dali | ffcv-raw | ffcv-jpeg, FOLDER [SECONDS].

One worker thread (torchvision: in the process itself), batches of 64, random resized crop to 224,
bilinear, flip. torchvision and DALI normalise to float, as they do in training; FFCV's raw set has
256 pixels, its JPEG set 500, both written beside FOLDER and left as uint8, as ours are.
"""
# SPDX-License-Identifier: BSD-3-Clause
import os
import sys
import time

BATCH = 64
MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
STD = [0.229 * 255, 0.224 * 255, 0.225 * 255]


def torchvision_batches(folder):
    import torch
    from torchvision import datasets, transforms

    transform = transforms.Compose([
        transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize([m / 255 for m in MEAN], [s / 255 for s in STD])])
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(datasets.ImageFolder(folder, transform), BATCH, shuffle=True,
                                         drop_last=True)
    while True:
        yield from loader


def dali_batches(folder):
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=BATCH, num_threads=1, device_id=None)
    def pipeline():
        encoded, labels = fn.readers.file(file_root=folder, random_shuffle=True)
        crops = fn.decoders.image_random_crop(encoded, device="cpu", output_type=types.RGB,
                                              random_area=[0.08, 1.0], random_aspect_ratio=[3 / 4, 4 / 3])
        squares = fn.resize(crops, size=[224, 224], interp_type=types.INTERP_LINEAR, antialias=False)
        return fn.crop_mirror_normalize(squares, dtype=types.FLOAT, output_layout="CHW", mean=MEAN,
                                        std=STD, mirror=fn.random.coin_flip()), labels

    built = pipeline()
    built.build()
    while True:
        yield built.run()


def ffcv_batches(folder, kind):
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor
    from ffcv.writer import DatasetWriter
    from torchvision.datasets import ImageFolder

    path = f"{folder.rstrip('/')}.{kind}.beton"
    if not os.path.exists(path):
        field = (RGBImageField(write_mode="raw", max_resolution=256) if kind == "raw" else
                 RGBImageField(write_mode="jpg", max_resolution=500, jpeg_quality=90))
        DatasetWriter(path, {"image": field, "label": IntField()}, num_workers=1).from_indexed_dataset(
            ImageFolder(folder))
    loader = Loader(path, batch_size=BATCH, num_workers=1, order=OrderOption.RANDOM, os_cache=True,
                    drop_last=True, pipelines={
                        "image": [RandomResizedCropRGBImageDecoder((224, 224)), RandomHorizontalFlip(),
                                  ToTensor()],
                        "label": [IntDecoder(), ToTensor()]})
    while True:
        yield from loader


def main():
    peer, folder = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 3
    batches = {"torchvision": torchvision_batches, "dali": dali_batches,
               "ffcv-raw": lambda f: ffcv_batches(f, "raw"),
               "ffcv-jpeg": lambda f: ffcv_batches(f, "jpeg")}[peer](folder)
    for _ in range(12):  # warm-up, compilation included
        next(batches)
    begin, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        next(batches)
        count += BATCH
    passed = time.perf_counter() - begin
    print(f"{peer}: {(time.process_time() - cpu) / count * 1e3:.3f} ms CPU/image, {count / passed:.0f} img/s",
          flush=True)
    os._exit(0)  # some peers' threads do not end


if __name__ == "__main__":
    main()
