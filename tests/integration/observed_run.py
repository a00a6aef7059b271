#!/usr/bin/env python3
"""observed_run.py timeline|tensorboard BIN TESTBIN: what a run of two ranks shows of its inside is true.

timeline: the trace has the form of Chrome's Trace Event Format as Perfetto reads it, the tracks that it promises, and
as much exposed communication as the log. tensorboard: TensorBoard's own reader opens histograms, the picture and the
hyper-parameters, and they are those of the run. Exit code 77: skipped, as there is no tensorboard.
"""
# SPDX-License-Identifier: BSD-3-Clause
import io
import json
import math
import os
import subprocess
import sys
import tempfile
from decimal import Decimal  # as Perfetto reads times: what begins before the last has ended is dropped

BUCKET_MIB = 0.01  # several buckets


def expect(what, condition):
    if not condition:
        sys.exit(f"observed_run.py: this does not hold: {what}")


def train(bins, work, name, *more):
    """Trains the tiny network on two ranks into WORK/NAME; returns its log's lines."""
    worker = os.path.join(bins, "resnext_worker")
    config = os.path.join(os.path.dirname(__file__), "../../configs/tiny.yaml")
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "2", worker, config, f"run.output={work}/{name}",
               f"data.train={work}/train.h5", f"data.validation={work}/val.h5", "data.size=16", "data.resize=16",
               "data.recipe=none", "batch.global=12", "run.epochs=2", "log.every_steps=1", f"comm.bucket_mib={BUCKET_MIB}",
               f"comm.first_bucket_mib={BUCKET_MIB}", "comm.timeout_s=60", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    expect(f"training ends well: {done.stderr}", done.returncode == 0)
    return [json.loads(line) for line in open(f"{work}/{name}/metrics.jsonl")]


# ---- timeline -----------------------------------------------------------------------------------
def tracks_of(events):
    """Checks every event's form; returns the complete ones by the name of their track."""
    names, tracks = {}, {}
    for event in events:
        expect(f"an event is complete or metadata: {event}", event.get("ph") in ("X", "M"))
        expect(f"an event is of a process and a thread: {event}", all(type(event.get(k)) is int for k in ("pid", "tid")))
        if event["ph"] == "M":
            value = event.get("args", {}).get("sort_index" if event["name"] == "thread_sort_index" else "name")
            expect(f"metadata have a value: {event}", type(value) is (int if "sort" in event["name"] else str))
            if event["name"] == "thread_name":
                names[event["tid"]] = value
            continue
        expect(f"times are microseconds: {event}", type(event["ts"]) is Decimal and type(event["dur"]) is Decimal and event["dur"] >= 0)
        expect(f"the track of an event was named before: {event}", event["tid"] in names and event["name"])
        tracks.setdefault(names[event["tid"]], []).append(event)
    for name, those in tracks.items():
        those.sort(key=lambda e: e["ts"])
        for a, b in zip(those, those[1:]):
            expect(f"{name} does one thing at a time: {a}, {b}", end(a) <= b["ts"])
    return tracks


def end(event):
    return event["ts"] + event["dur"]


def check_timeline(bins, work):
    lines = [line for line in train(bins, work, "run", "log.timeline=true", "log.tensorboard=false", "data.threads=2")
             if line["event"] == "train"]
    for rank in (0, 1):
        events = json.load(open(f"{work}/run/timeline.rank{rank}.json"), parse_float=Decimal)
        expect("each rank is a process", {e["pid"] for e in events} == {rank})
        tracks = tracks_of(events)
        expect(f"both decoder threads have a track, of {list(tracks)}", {"decoder 0", "decoder 1"} <= set(tracks))
        images = sum(int(e["name"].split()[0]) for e in tracks["decoder 0"] + tracks["decoder 1"])
        expect(f"all images were decoded: {images}", images >= 6 * len(lines))
        step = tracks["training step"]
        phase = lambda name: [e for e in step if e["name"] == name]
        exposed, backward = phase("exposed communication"), phase("backward")
        expect("every step has its phases", len(exposed) == len(backward) == len(lines))
        buckets = [name for name in tracks if name.startswith("bucket ")]
        expect(f"there are several buckets: {buckets}", len(buckets) > 2)
        for bucket in (event for name in buckets for event in tracks[name]):
            inside = [1 for b, x in zip(backward, exposed) if b["ts"] <= bucket["ts"] and end(bucket) <= end(x)]
            expect(f"a bucket is ready once backward has begun, and summed before the step goes on: {bucket}", inside)
        sums = sum(len(tracks[name]) for name in buckets)
        expect(f"every step sums several buckets: {sums}", sums > 2 * len(lines))
    saving = json.load(open(f"{work}/run/timeline.rank0.json"), parse_float=Decimal)
    expect("saving has a track", "saving" in tracks_of(saving))
    shown = sum(float(e["dur"]) for e in tracks_of(saving)["training step"] if e["name"] == "exposed communication") / 1000
    logged = sum(line["exposed_comm_ms"] for line in lines)
    expect(f"{shown} ms of exposed communication are shown, {logged} ms logged", abs(shown - logged) <= 0.05 * logged)
    expect("there was some", logged > 0)


# ---- TensorBoard --------------------------------------------------------------------------------
def session_of(accumulator, kind):
    from tensorboard.plugins.hparams import plugin_data_pb2
    metadata = accumulator.SummaryMetadata(f"_hparams_/session_{kind}_info")
    expect("the plugin is named", metadata.plugin_data.plugin_name == "hparams")
    return getattr(plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content), f"session_{kind}_info")


def check_histograms(accumulator, lines):
    tags = accumulator.Tags()["histograms"]
    stages = ["stem", "layer1", "layer2", "layer3", "classifier"]
    expect(f"every stage has a histogram, of {tags}", [t.split("/")[1] for t in tags if t.startswith("gradient_norm/")] == stages)
    for i, line in enumerate(lines):
        total = 0
        for stage in stages:
            event = accumulator.Histograms(f"gradient_norm/{stage}")[i]
            histogram = event.histogram_value
            expect("its step is that of the log", event.step == line["step"])
            expect("its counts are those of its buckets", sum(histogram.bucket) == histogram.num)
            expect("its limits rise", sorted(set(histogram.bucket_limit)) == list(histogram.bucket_limit))
            expect("its ends are in its buckets", histogram.min < histogram.bucket_limit[0] and histogram.max <= histogram.bucket_limit[-1])
            total += histogram.sum_squares
        norm = line["gradient_norm"]
        expect(f"the norms add up to {norm}, not {math.sqrt(total)}", abs(math.sqrt(total) - norm) < 1e-5 * norm)


def check_picture(accumulator, work):
    import h5py
    import numpy
    from PIL import Image
    images = accumulator.Images("input/training")
    expect("there is one picture, of the first step", [e.step for e in images] == [1])
    picture = numpy.asarray(Image.open(io.BytesIO(images[0].encoded_image_string))).astype(int)
    expect(f"six images are in rows of four: {picture.shape}", picture.shape == (2 * 18 - 2, 4 * 18 - 2, 3))
    with h5py.File(f"{work}/train.h5") as file:
        known = file["images"][:].astype(int)
    for i in range(6):
        tile = picture[i // 4 * 18:, i % 4 * 18:][:16, :16]
        expect(f"image {i} is one of the training set", (abs(known - tile).max(axis=(1, 2, 3)) <= 1).any())
    expect("the rest is black", picture[18:, 2 * 18:].max() == 0)


def check_tensorboard(bins, work):
    try:
        from tensorboard.backend.event_processing import event_accumulator
    except ImportError as error:
        print(f"skipped: {error}")
        sys.exit(77)
    rates = {"slow": 0.05, "fast": 0.1}
    for name, rate in rates.items():
        lines = [line for line in train(bins, work, name, "log.tensorboard=true", f"optimizer.base_lr={rate}", "optimizer.clip_norm=1000000")
                 if line["event"] == "train"]
        accumulator = event_accumulator.EventAccumulator(f"{work}/{name}", size_guidance={"histograms": 0, "images": 0})
        accumulator.Reload()
        check_histograms(accumulator, lines)
        check_picture(accumulator, work)
        start = session_of(accumulator, "start").hparams
        expect("numbers are numbers", start["optimizer.base_lr"].number_value == rate and start["world_size"].number_value == 2)
        expect("words are words", start["schedule.kind"].string_value == "cosine" and start["data.recipe"].string_value == "none")
        expect("flags are flags", start["optimizer.nesterov"].HasField("bool_value"))
        expect("no paths", not [key for key in start if key in ("run.output", "data.train", "run.name")])
        expect("it has succeeded", session_of(accumulator, "end").status == 1)
        losses = [e.value for e in accumulator.Scalars("train/loss")]
        expect("scalars are still there", numpy_close(losses, [line["loss"] for line in lines]))


def numpy_close(a, b):
    return len(a) == len(b) and all(abs(x - y) < 1e-5 for x, y in zip(a, b))


def main():
    what, bins, testbins = sys.argv[1:]
    os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as work:
        for split, images in (("train", 96), ("val", 32)):
            subprocess.run([os.path.join(testbins, "make_tiny_data"), f"{work}/{split}.h5", str(images)], check=True)
        {"timeline": check_timeline, "tensorboard": check_tensorboard}[what](bins, work)


main()
