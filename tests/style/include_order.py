#!/usr/bin/env python3
"""include_order.py ROOT: fails when a source file includes what its folder may not know.

SPDX-License-Identifier: BSD-3-Clause
"""
import re
import sys
from pathlib import Path

# Folder -> what it may include of ours (regular expressions on the path). Lower never includes
# higher; data and model do not know each other.
MAY_INCLUDE = {
    "comm": ["comm/"],
    "data": ["data/", "comm/common/"],
    "model": ["model/", "comm/common/"],
    "configs": ["configs/", "comm/common/", "(comm|data|model)/[a-z_]*options\\.h", "data/sampler\\.h"],
    "worker": ["worker/", "comm/", "data/", "model/", "configs/"],
    "launcher": ["launcher/", "configs/", "comm/common/", "model/network/cost", "[a-z]*/[a-z_]*options\\.h"],
}
# Header of others -> the files that may include it, and why.
ONLY_IN = [
    (r"data/(container|augment|loader|pack)/", r"(?!data/image/)", "data/image knows no other room"),
    (r"data/(augment|loader|pack)/", r"(?!data/(image|container)/)", "the room comes later"),
    (r"data/(loader|pack)/", r"(?!data/augment/)", "the room comes later"),
    (r"data/pack/", r"data/(pack/|main)", "only resnext_data packs"),
    (r"yaml-cpp/", r"configs/", "only configs knows YAML"),
    (r"(mpi|nccl)\.h", r"comm/", "only comm knows MPI and NCCL"),
    (r"torch/torch\.h", r".*\.cpp$", "torch/torch.h in a header slows down every file"),
    (r"(torch|ATen|c10)/", r".*\.(h|cpp)$", ".cu files include no Torch header"),
    (r"(torch|ATen|c10)/", r"(?!comm/|configs/|launcher/)|comm/(gradient_reducer|tensor_collectives)",
     "of comm only the reducer knows tensors, configs and launcher do not link Torch"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def violations_of(path, header):
    """The rules that the file `path` (relative, "/") breaks by including `header`."""
    folder, target = path.split("/")[0], header.split("/")[0]
    if target in MAY_INCLUDE or target == "tests":
        if not any(re.match(allowed, header) for allowed in MAY_INCLUDE[folder]):
            yield f"{folder}/ may not include it"
    for pattern, files, why in ONLY_IN:
        if re.match(pattern, header) and not re.match(files, path):
            yield why


def main(root):
    count = 0
    for folder in MAY_INCLUDE:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".cu", ".cuh"):
                continue
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                for why in violations_of(path, match.group(1)) if match else ():
                    print(f"{path}:{number}: #include of {match.group(1)}: {why}")
                    count += 1
    print(f"{count} violations")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
