#!/usr/bin/env python3
"""What PyTorch's optimizers and schedulers do, for tests/worker.

  make_golden.py FOLDER       writes optimizers.json, schedules.json, mixing.json and
                              recipes.json (launcher/setup.sh --python first)

optimizers.json: {"torch": VERSION, "cases": [{"name", "kind", options by our configuration's names,
"weights": {parameter: [values after STEPS steps, row-major]}}]}. Everything is float64. Start
values, gradients and rates are the closed forms below, which tests/worker/update_rule_test.cpp has
too. Parameters named bn.* and fc.bias do not decay where decay_norms is false (fc.bias does with
decay_biases).

schedules.json: {"cases": [{"name", "kind", "per_epoch", options by our configuration's names,
"rates": [of each step, or each epoch]}]}: EPOCHS epochs of EPOCH_STEPS steps, effective rate RATE.

mixing.json: of torchvision's v2.CutMix "boxes": [[size, x, y, lambda, left, top, right, bottom,
adjusted lambda]]; of its MixUp and CutMix on two images of SIDE pixels "mixed": [{"lambda",
"box", "pixels", "targets"}]; and of PyTorch's losses "losses": [{options, "lambda", "loss"}] of
soft targets, or of labels where lambda is null.

recipes.json: two epochs of four steps of a small network, every part of a recipe at once, on 1, 2
and 4 ranks: "recipes": [{options, "world", "draws": [[lambda, left, top, right, bottom]], "losses",
"weights": {tensor: first numbers}, "average": {the same of the moving average}}]. Each rank has its
own batch statistics; running statistics are the mean over the ranks. Stochastic depth multiplies each
block's branch with the numbers of depth_scales(), which follow the definition of
model/network/stochastic_depth.h.
"""
# SPDX-License-Identifier: BSD-3-Clause
import json
import math
import pathlib
import sys

import torch
import torchvision
from torchvision.transforms import v2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import rule_weights  # noqa: E402
import torch_twin  # noqa: E402

STEPS = 50
SHAPES = {"conv.weight": (3, 2, 2, 2), "bn.weight": (3,), "bn.bias": (3,), "fc.weight": (4, 3),
          "fc.bias": (4,)}


def formula(numbers, shape):
    return torch.tensor([numbers(i) for i in range(math.prod(shape))],
                        dtype=torch.float64).reshape(shape)


def start_of(p, shape):
    return formula(lambda i: 0.5 * math.cos(1 + p + 0.7 * i), shape)


def gradient_of(step, p, shape):
    scale = 0.1 + 0.05 * p
    return formula(lambda i: scale * math.sin(1 + 0.9 * step + 2 * p + 0.37 * i), shape)


def lr_of(step):
    return 0.02 / (1 + step % 7)


CASES = [
    {"name": "sgd", "kind": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "sgd, clipped, norms and biases without decay", "kind": "sgd", "momentum": 0.875,
     "nesterov": False, "weight_decay": 0.1, "decay_norms": False, "clip_norm": 0.9},
    {"name": "adamw", "kind": "adamw", "weight_decay": 0.05, "beta1": 0.9, "beta2": 0.999},
    {"name": "adamw, clipped, norms without decay", "kind": "adamw", "weight_decay": 0.3,
     "beta1": 0.8, "beta2": 0.95, "eps": 0.001, "decay_norms": False, "decay_biases": True,
     "clip_norm": 0.8},
]


def decays(case, name, p):
    if case.get("decay_norms", True) or p.dim() > 1:
        return True
    return name == "fc.bias" and case.get("decay_biases", False)


def make(case, parameters):
    groups = [{"params": [p for name, p in parameters.items() if decays(case, name, p) == decay],
               "weight_decay": case["weight_decay"] if decay else 0.0} for decay in (True, False)]
    groups = [group for group in groups if group["params"]]
    if case["kind"] == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=case["momentum"],
                               nesterov=case["nesterov"])
    return torch.optim.AdamW(groups, lr=1.0, betas=(case["beta1"], case["beta2"]),
                             eps=case.get("eps", 1e-8))


def run(case):
    parameters = {name: start_of(p, shape).requires_grad_()
                  for p, (name, shape) in enumerate(SHAPES.items())}
    optimizer = make(case, parameters)
    for step in range(STEPS):
        for p, (name, shape) in enumerate(SHAPES.items()):
            parameters[name].grad = gradient_of(step, p, shape)
        if "clip_norm" in case:
            torch.nn.utils.clip_grad_norm_(parameters.values(), case["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = lr_of(step)
        optimizer.step()
    return {name: p.detach().flatten().tolist() for name, p in parameters.items()}


# ---- schedules --------------------------------------------------------------------------------

EPOCHS, EPOCH_STEPS, RATE = 12, 5, 0.4


def sequence(optimizer, warmup, start, after):
    schedulers = torch.optim.lr_scheduler
    if warmup == 0:
        return after
    linear = schedulers.LinearLR(optimizer, start_factor=start, total_iters=warmup)
    return schedulers.SequentialLR(optimizer, [linear, after], [warmup])


def warmed_up_as_goyal(case, epochs, epoch_steps, rate):
    """Goyal et al. 2017, section 2.2: from the base rate, here half, up in equal parts a step."""
    count = round(case["warmup_epochs"] * (1 if case["per_epoch"] else epoch_steps))
    after = rates({**case, "warmup_start": 1.0}, epochs, epoch_steps, rate)
    return [rate / 2 + rate / 2 * (n + 1) / count if n < count else after[n]
            for n in range(len(after))]


SCHEDULES = [
    {"name": "torchvision's cosine", "kind": "cosine", "per_epoch": True, "warmup_epochs": 5,
     "warmup_start": 0.01},
    {"name": "cosine with a floor", "kind": "cosine", "per_epoch": False, "warmup_epochs": 3,
     "warmup_start": 0.25, "min_lr": 0.003},
    {"name": "cosine, cooled down", "kind": "cosine", "per_epoch": True, "warmup_epochs": 2,
     "warmup_start": 0.1, "min_lr": 0.01, "cooldown_epochs": 3},
    {"name": "polynomial", "kind": "polynomial", "per_epoch": False, "power": 2},
    {"name": "polynomial after warm-up", "kind": "polynomial", "per_epoch": False, "power": 1.5,
     "warmup_epochs": 2, "warmup_start": 0.5},
    {"name": "steps", "kind": "step", "per_epoch": True, "milestones": [3, 6, 9], "gamma": 0.1,
     "warmup_epochs": 2, "warmup_start": 0.01},
    {"name": "one cycle", "kind": "one_cycle", "per_epoch": False, "warmup_epochs": 3.6,
     "min_lr": RATE / 25 / 1e4},
    {"name": "one cycle with other ends", "kind": "one_cycle", "per_epoch": False,
     "warmup_epochs": 6, "warmup_start": 0.1, "min_lr": RATE * 0.1 / 100},
]


def rates(case, epochs=EPOCHS, epoch_steps=EPOCH_STEPS, rate=RATE):
    schedulers = torch.optim.lr_scheduler
    if case.get("warmup_epochs", 0) > 0 and "warmup_start" not in case and (
            case["kind"] != "one_cycle"):
        return warmed_up_as_goyal(case, epochs, epoch_steps, rate)
    unit = 1 if case["per_epoch"] else epoch_steps
    total = epochs * unit
    warmup = round(case.get("warmup_epochs", 0) * unit)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=rate)
    left = total - warmup - case.get("cooldown_epochs", 0) * unit
    if case["kind"] == "one_cycle":
        start = case.get("warmup_start", 0.04)
        schedule = schedulers.OneCycleLR(
            optimizer, max_lr=rate, total_steps=total, pct_start=warmup / total,
            cycle_momentum=False, div_factor=1 / start,
            final_div_factor=rate * start / case["min_lr"])
    else:
        after = {"cosine": lambda: schedulers.CosineAnnealingLR(optimizer, left,
                                                                case.get("min_lr", 0)),
                 "polynomial": lambda: schedulers.PolynomialLR(optimizer, left, case.get("power")),
                 "step": lambda: schedulers.MultiStepLR(
                     optimizer, [round(m * unit) - warmup for m in case["milestones"]],
                     case["gamma"])}
        schedule = sequence(optimizer, warmup, case.get("warmup_start"), after[case["kind"]]())
    result = []
    for now in range(total):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if now + 1 < warmup + left or case["kind"] == "one_cycle":
            if now + 1 < total:
                schedule.step()
        elif now + 1 == warmup + left:
            schedule.step()  # to the floor, and there it stays
    return result


# ---- mixing and losses ------------------------------------------------------------------------

SIDE, CLASSES, LABELS = 4, 5, (3, 1)


def draws(transform, lam, x, y, size):
    """What the transform would draw, with its random numbers given."""
    transform._dist.sample = lambda _: torch.tensor(lam, dtype=torch.float64)
    numbers = iter([x, y])
    randint, torch.randint = torch.randint, lambda *_, **__: torch.tensor([next(numbers)])
    try:
        return transform.make_params([torch.zeros(1, 3, size, size)])
    finally:
        torch.randint = randint


def boxes():
    found = []
    for k in range(60):
        size = (8, 32, 224)[k % 3]
        lam, x, y = (0.37 * k) % 1, (97 * k + 5) % size, (41 * k * k) % size
        made = draws(v2.CutMix(num_classes=CLASSES), lam, x, y, size)
        found.append([size, x, y, lam, *made["box"], made["lam_adjusted"]])
    return found


def mixed():
    images = formula(lambda i: math.sin(0.3 * i), (2, 3, SIDE, SIDE))
    labels = torch.nn.functional.one_hot(torch.tensor(LABELS), CLASSES).double()
    found = []
    for transform in (v2.MixUp(num_classes=CLASSES), v2.CutMix(num_classes=CLASSES)):
        for lam, x, y in ((0.3, 1, 3), (0.8, 2, 2), (0.55, 0, 1)):
            params = {**draws(transform, lam, x, y, SIDE), "labels": labels, "batch_size": 2}
            found.append({"lambda": params.get("lam_adjusted", lam),
                          "box": params.get("box", [0, 0, 0, 0]),
                          "pixels": transform.transform(images, params).flatten().tolist(),
                          "targets": transform.transform(labels, params).flatten().tolist()})
    return found


def losses():
    functional = torch.nn.functional
    logits = formula(lambda i: 2 * math.sin(1 + 0.8 * i), (2, CLASSES))
    hot = functional.one_hot(torch.tensor(LABELS), CLASSES).double()
    found = []
    for kind in ("cross_entropy", "bce"):
        for lam in (None, 0.3, 0.75):
            for smoothing in (0.0, 0.1):
                for threshold in (0.0, 0.2) if kind == "bce" else (0.0,):
                    soft = hot if lam is None else lam * hot + (1 - lam) * hot.flip(0)
                    if kind == "cross_entropy":
                        target = torch.tensor(LABELS) if lam is None else soft
                        loss = functional.cross_entropy(logits, target, label_smoothing=smoothing)
                    else:
                        target = soft * (1 - smoothing) + smoothing / CLASSES
                        if threshold:
                            target = target.gt(threshold).double()
                        loss = functional.binary_cross_entropy_with_logits(logits, target)
                    found.append({"kind": kind, "lambda": lam, "smoothing": smoothing,
                                  "threshold": threshold, "loss": loss.item()})
    return found


# ---- whole recipes ----------------------------------------------------------------------------

NETWORK = {"family": "cifar", "depth": 11, "cardinality": 2, "base_width": 16, "classes": 4,
           "stem_width": 32}
BATCH, STEPS_PER_EPOCH, PIXELS, SHOWN = 16, 4, 16, 4
TENSORS = ("conv1.weight", "bn1.running_mean", "bn1.running_var", "layer1.0.bn1.weight",
           "layer1.0.conv2.weight", "layer2.0.downsample.1.bias", "layer3.0.conv3.weight",
           "fc.weight", "fc.bias")
DRAWS = [[0.3, 0, 0, 0, 0], [1 - 80 / 256, 4, 2, 14, 10], [0.9, 0, 0, 0, 0], [1, 0, 0, 0, 0],
         [1 - 30 / 256, 0, 11, 6, 16], [0.55, 0, 0, 0, 0], [0.02, 0, 0, 0, 0],
         [1 - 225 / 256, 0, 0, 15, 15]]
RECIPES = [
    {"name": "torchvision_v2", "kind": "sgd", "momentum": 0.9, "nesterov": False, "lr": 0.05,
     "weight_decay": 2e-5, "decay_norms": False, "decay_biases": True, "label_smoothing": 0.1,
     "loss": "cross_entropy", "schedule": "cosine", "per_epoch": True, "warmup_epochs": 1,
     "warmup_start": 0.01, "ema_decay": 0.9, "ema_every": 2},
    {"name": "rsb", "kind": "lamb", "lr": 5e-3, "weight_decay": 0.02, "decay_norms": False,
     "beta1": 0.9, "beta2": 0.999, "clip_norm": 1.0, "label_smoothing": 0.1, "loss": "bce",
     "bce_threshold": 0.2, "schedule": "cosine", "per_epoch": False, "warmup_epochs": 1,
     "warmup_start": 1e-4, "min_lr": 1e-6, "ema_decay": 0.8, "ema_every": 1},
    {"name": "mlperf_lars", "kind": "lars", "momentum": 0.9, "nesterov": False, "lr": 0.5,
     "trust": 0.001, "weight_decay": 5e-5, "decay_norms": False, "label_smoothing": 0.1,
     "loss": "cross_entropy", "schedule": "polynomial", "power": 2, "per_epoch": False,
     "warmup_epochs": 0.5, "warmup_start": 0.001, "ema_decay": 0.8, "ema_every": 3},
    {"name": "adamw", "kind": "adamw", "lr": 1e-3, "weight_decay": 0.05, "beta1": 0.9,
     "beta2": 0.95, "clip_norm": 0.5, "loss": "bce", "schedule": "one_cycle", "per_epoch": False,
     "warmup_epochs": 0.75, "min_lr": 1e-6, "ema_decay": 0.5, "ema_every": 1},
    {"name": "torchvision_v1", "kind": "sgd", "momentum": 0.9, "nesterov": False, "lr": 0.1,
     "weight_decay": 1e-4, "loss": "cross_entropy", "schedule": "step", "milestones": [1],
     "gamma": 0.1, "per_epoch": False, "warmup_epochs": 0, "ema_decay": 0.9, "ema_every": 1,
     "mixed": False},
    {"name": "nvidia_250e", "kind": "sgd", "momentum": 0.875, "nesterov": False, "lr": 0.2,
     "weight_decay": 6.103515625e-5, "decay_norms": False, "decay_biases": True,
     "label_smoothing": 0.1, "loss": "cross_entropy", "schedule": "cosine", "per_epoch": True,
     "warmup_epochs": 1, "ema_decay": 0.9, "ema_every": 1},
    {"name": "goyal_8k", "kind": "sgd", "momentum": 0.9, "nesterov": True, "lr": 0.2,
     "weight_decay": 1e-4, "decay_norms": False, "decay_biases": True, "loss": "cross_entropy",
     "schedule": "step", "milestones": [1.5], "gamma": 0.1, "per_epoch": False,
     "warmup_epochs": 0.75, "ema_decay": 0.9, "ema_every": 1, "mixed": False},
    {"name": "rsb, stochastic depth", "kind": "lamb", "lr": 5e-3, "weight_decay": 0.01,
     "decay_norms": False, "beta1": 0.9, "beta2": 0.999, "clip_norm": 1.0, "label_smoothing": 0.1,
     "loss": "bce", "bce_threshold": 0.2, "schedule": "cosine", "per_epoch": True,
     "warmup_epochs": 1, "warmup_start": 0.02, "min_lr": 1e-6, "ema_decay": 0.8, "ema_every": 1,
     "stochastic_depth": 0.6},
]
SEED, DEPTH_USE, BLOCKS = 1, 4, 3


def splitmix(z):
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 % 2**64
    z = (z ^ z >> 27) * 0x94d049bb133111eb % 2**64
    return z ^ z >> 31


def depth_scales(rate, epoch, first, count):
    """[BLOCKS][count]: 0 where a block's branch is left out, else 1 / (1 - its rate)."""
    increment, state = 0x9e3779b97f4a7c15, 0
    for part in (DEPTH_USE, SEED, epoch, 0):
        state = splitmix(((state ^ part) + increment) % 2**64)
    key = splitmix((state + increment) % 2**64)
    scales = []
    for block in range(BLOCKS):
        p = rate * block / (BLOCKS - 1)
        draws = [splitmix((key + ((first + n) * BLOCKS + block + 1) * increment) % 2**64)
                 for n in range(count)]
        scales.append([0.0 if (draw >> 11) / 2**53 < p else 1 / (1 - p) for draw in draws])
    return torch.tensor(scales, dtype=torch.float64)


def leave_out(network, scales):
    """For the next forward pass of these images."""
    for block, of_block in zip((m for m in network.modules() if hasattr(m, "scales")), scales):
        block.scales = of_block


def layerwise(case, parameters, state, lr, taken):
    """LARS and LAMB of one step, by the formulas of worker/step/layerwise_rules.cpp's sources."""
    for name, p in parameters.items():
        m, v = state.setdefault(name, [torch.zeros_like(p), torch.zeros_like(p)])
        adapts, g = p.dim() > 1, p.grad
        decay = case["weight_decay"] if adapts else 0.0
        if case["kind"] == "lars":
            ratio = case["trust"] * p.norm() / (g.norm() + decay * p.norm() + 1e-7)
            m.mul_(case["momentum"]).add_(lr * (ratio if adapts else 1) * (g + decay * p))
            p -= m
            continue
        m.mul_(case["beta1"]).add_((1 - case["beta1"]) * g)
        v.mul_(case["beta2"]).add_((1 - case["beta2"]) * g * g)
        change = (m / (1 - case["beta1"] ** taken)
                  / ((v / (1 - case["beta2"] ** taken)).sqrt() + 1e-6)) + decay * p
        p -= lr * (p.norm() / change.norm() if adapts else 1) * change


def recipe_loss(case, logits, targets):
    functional, smoothing = torch.nn.functional, case.get("label_smoothing", 0.0)
    if case["loss"] == "cross_entropy":
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    targets = targets * (1 - smoothing) + smoothing / NETWORK["classes"]
    if "bce_threshold" in case:
        targets = targets.gt(case["bce_threshold"]).double()
    return functional.binary_cross_entropy_with_logits(logits, targets)


def mix_pairs(images, hot, draw):
    lam, left, top, right, bottom = draw
    partner = torch.arange(BATCH) ^ 1
    if right > left:
        images = images.clone()
        others = images[partner]
        images[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    else:
        images = lam * images + (1 - lam) * images[partner]
    return images, lam * hot + (1 - lam) * hot[partner]


def gradients(case, network, images, targets, world, scales):
    """Leaves them in .grad; returns the loss."""
    buffers = dict(network.named_buffers())
    before = {name: b.clone() for name, b in buffers.items()}
    means = {name: torch.zeros_like(b) for name, b in buffers.items()}
    network.zero_grad()
    total = 0.0
    for x, y, of_rank in zip(images.chunk(world), targets.chunk(world), scales.chunk(world, 1)):
        leave_out(network, of_rank)
        for name, b in buffers.items():
            b.copy_(before[name])
        loss = recipe_loss(case, network(x), y) / world
        loss.backward()
        total += loss.item()
        for name, b in buffers.items():
            means[name] += b / world if b.is_floating_point() else 0
    for name, b in buffers.items():
        if b.is_floating_point():
            b.copy_(means[name])
    return total


def shown(tensors):
    return {name: tensors[name].detach().flatten()[:SHOWN].tolist() for name in TENSORS}


def train_recipe(case, world):
    network = rule_weights.fill(torch_twin.ResNeXt(**NETWORK).double().train())
    parameters = dict(network.named_parameters())
    of_torch = make(case, parameters) if case["kind"] in ("sgd", "adamw") else None
    images = rule_weights.images(BATCH * STEPS_PER_EPOCH, PIXELS)
    labels = rule_weights.labels(BATCH * STEPS_PER_EPOCH, NETWORK["classes"])
    hot = torch.nn.functional.one_hot(labels, NETWORK["classes"]).double()
    lrs = rates({**case, "kind": case["schedule"]}, 2, STEPS_PER_EPOCH, case["lr"])
    state, average, losses = {}, {}, []
    draws = DRAWS if case.get("mixed", True) else [[1, 0, 0, 0, 0]] * len(DRAWS)
    for step, draw in enumerate(draws):
        first = step % STEPS_PER_EPOCH * BATCH
        mine = slice(first, first + BATCH)
        scales = depth_scales(case.get("stochastic_depth", 0.0), step // STEPS_PER_EPOCH, first,
                              BATCH)
        mixed = mix_pairs(images[mine], hot[mine], draw)
        losses.append(gradients(case, network, *mixed, world, scales))
        with torch.no_grad():
            if "clip_norm" in case and case["kind"] == "lamb":
                norm = torch.stack([p.grad.norm() for p in parameters.values()]).norm()
                for p in parameters.values():
                    p.grad /= max(norm / case["clip_norm"], 1)
            elif "clip_norm" in case:
                torch.nn.utils.clip_grad_norm_(parameters.values(), case["clip_norm"])
            lr = lrs[step // STEPS_PER_EPOCH if case["per_epoch"] else step]
            if of_torch:
                for group in of_torch.param_groups:
                    group["lr"] = lr
                of_torch.step()
            else:
                layerwise(case, parameters, state, lr, step + 1)
            if step % STEPS_PER_EPOCH % case["ema_every"] == 0:
                for name, value in network.state_dict().items():
                    decay = case["ema_decay"] if name in average else 0.0
                    average[name] = decay * average.get(name, 0.0) + (1 - decay) * value
    return {**case, "world": world, "draws": draws, "losses": losses,
            "weights": shown(network.state_dict()), "average": shown(average)}


def write(folder, name, cases):
    document = {"torch": torch.__version__.split("+")[0], "cases": cases}
    text = json.dumps(document, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"')
    (pathlib.Path(folder) / name).write_text(text + "\n")


if __name__ == "__main__":
    write(sys.argv[1], "optimizers.json", [{**case, "weights": run(case)} for case in CASES])
    write(sys.argv[1], "schedules.json", [{**case, "rates": rates(case)} for case in SCHEDULES])
    everything = {"torchvision": torchvision.__version__.split("+")[0], "boxes": boxes(),
                  "mixed": mixed(), "losses": losses()}
    text = json.dumps(everything, separators=(",", ":")) + "\n"
    (pathlib.Path(sys.argv[1]) / "mixing.json").write_text(text)
    recipes = [train_recipe(case, world) for case in RECIPES for world in (1, 2, 4)]
    text = json.dumps({"recipes": recipes}, separators=(",", ":")).replace('{"name"', '\n{"name"')
    (pathlib.Path(sys.argv[1]) / "recipes.json").write_text(text + "\n")
