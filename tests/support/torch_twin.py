"""The ResNeXt of form C in PyTorch, with torchvision's parameter names: the tests' second opinion.

Xie et al. 2017 (arXiv 1611.05431). With se_reduction, squeeze-and-excitation (Hu et al. 2018, arXiv
1709.01507) under timm's names: seresnext50_32x4d and the like. Families as in model/model_options.h: "imagenet" (four stages,
7x7/2 stem, max pool) and "cifar" (three stages of (depth - 2) / 9 blocks, 3x3/1 stem, no pool).
"""
# SPDX-License-Identifier: BSD-3-Clause
import re

import torch
from torch import nn

STAGES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4


def conv_bn(in_channels, out_channels, kernel, stride=1, groups=1):
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups,
                     bias=False)
    return conv, nn.BatchNorm2d(out_channels)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction):
        super().__init__()
        squeezed = max(8, int(channels / reduction + 4) // 8 * 8)  # timm's make_divisible
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Bottleneck(nn.Module):
    def __init__(self, in_channels, inner, out_channels, stride, groups, se_reduction=0):
        super().__init__()
        self.conv1, self.bn1 = conv_bn(in_channels, inner, 1)
        self.conv2, self.bn2 = conv_bn(inner, inner, 3, stride, groups)
        self.conv3, self.bn3 = conv_bn(inner, out_channels, 1)
        self.se = SqueezeExcite(out_channels, se_reduction) if se_reduction else nn.Identity()
        changes = stride != 1 or in_channels != out_channels
        self.downsample = (nn.Sequential(*conv_bn(in_channels, out_channels, 1, stride))
                           if changes else None)
        self.scales = None  # [N] of the branch: stochastic depth

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.se(self.bn3(self.conv3(y)))
        if self.scales is not None:
            y = y * self.scales.reshape(-1, 1, 1, 1)
        return (y + shortcut).relu()


class ResNeXt(nn.Module):
    def __init__(self, family="imagenet", depth=50, cardinality=32, base_width=4, classes=1000,
                 stem_width=64, se_reduction=0):
        super().__init__()
        cifar = family == "cifar"
        blocks = ((depth - 2) // 9,) * 3 if cifar else STAGES[depth]
        self.conv1, self.bn1 = conv_bn(3, stem_width, *((3, 1) if cifar else (7, 2)))
        self.pool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        channels = stem_width
        for stage, count in enumerate(blocks):
            planes = stem_width << stage
            inner = planes * base_width // 64 * cardinality
            layer = []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                layer.append(Bottleneck(channels, inner, planes * EXPANSION, stride, cardinality,
                                        se_reduction))
                channels = planes * EXPANSION
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layer))
        self.stages = len(blocks)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


def options_of(state):
    """The arguments of ResNeXt that fit a state_dict."""
    blocks = [len({m[1] for m in (re.match(rf"layer{stage}\.(\d+)\.", name) for name in state)
                   if m}) for stage in (1, 2, 3, 4)]
    imagenet = blocks[3] > 0
    inner, group_width = state["layer1.0.conv2.weight"].shape[:2]
    stem_width = state["conv1.weight"].shape[0]
    cardinality = inner // group_width
    return {"family": "imagenet" if imagenet else "cifar",
            "depth": sum(blocks) * 3 + 2,
            "cardinality": cardinality,
            "base_width": inner // cardinality * 64 // stem_width,
            "classes": state["fc.weight"].shape[0],
            "stem_width": stem_width}


def torchvision_twin(options):
    """torchvision's network of these options; None without torchvision or where it has none."""
    try:
        from torchvision.models import resnet
    except ImportError:
        return None
    if (options["family"] != "imagenet" or options.get("stem_width", 64) != 64 or
            options.get("se_reduction")):
        return None
    return resnet.ResNet(resnet.Bottleneck, list(STAGES[options["depth"]]),
                         num_classes=options["classes"], groups=options["cardinality"],
                         width_per_group=options["base_width"])
