#!/usr/bin/env python3
"""kernel_code_test.py NVCC ROOT [FOLDER...]: what the compiler makes of the fused kernels, for sm_90.

Compiles model/norm/fused_cuda.cu and reads registers and spills from ptxas -v and the machine code
from nvdisasm, which is looked for in PATH, beside NVCC and in the FOLDERs. Needs no GPU. Prints a
table of figures; fails where a row loop reads anything but whole vectors, a thread spills or has too
many registers, or neighbouring threads meet in a bank of shared memory. Exit code 77: no disassembler.

SPDX-License-Identifier: BSD-3-Clause
"""
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

SKIPPED = 77
SOURCE = "model/norm/fused_cuda.cu"
REGISTERS = 80  # of a thread: 65,536 for three blocks of 256, in steps of 8
NAME = re.compile(r"\d((?:sum|normalise|input|statistics|channel|running)_?\w*?_kernel)I?(.*)")
ROW_KERNELS = ("sum_squares_kernel", "normalise_kernel", "sum_gradients_kernel",
               "input_gradients_kernel")


@dataclass
class Kernel:
    name: str
    arguments: str  # of the template, mangled
    registers: int = 0
    spilled: int = 0  # bytes
    code: list = field(default_factory=list)
    loops: list = field(default_factory=list)  # innermost ones, lists of instructions

    @property
    def width(self):
        found = re.match(r"Li(\d)", self.arguments)
        return int(found.group(1)) if found else 0

    @property
    def label(self):
        kind = re.search(r"(__nv_bfloat16|__half)", self.arguments)
        rectifier = re.search(r"RectifierE(\d)", self.arguments)
        text = f"{self.name.removesuffix('_kernel')} {kind.group(1) if kind else 'float'}"
        text += f" x{self.width}" if self.width else ""
        text += f" {('none', 'of_input', 'of_output')[int(rectifier.group(1))]}" if rectifier else ""
        return text + (" pair" if "Lb1E" in self.arguments else "")


def innermost_loops(lines):
    """(all instructions, loops) of a kernel's disassembly: a loop ends with a jump backwards."""
    code, labels = [], {}
    for line in lines:
        label = re.match(r"(\.L_x_\d+):", line)
        instruction = re.search(r"/\*[0-9a-f]{4,}\*/\s+(.*?);", line)
        if label:
            labels[label.group(1)] = len(code)
        elif instruction:
            code.append(instruction.group(1))
    spans = []
    for i, instruction in enumerate(code):
        jump = re.search(r"BRA.*`\((\.L_x_\d+)\)", instruction)
        begin = labels.get(jump.group(1), i + 1) if jump else i + 1
        if begin < i:  # behind a kernel's end stands a jump to itself
            spans.append((begin, i + 1))
    inner = [s for s in spans
             if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return code, [code[begin:end] for begin, end in inner]


def read_kernels(nvcc, disassembler, root):
    with tempfile.TemporaryDirectory() as folder:
        cubin = f"{folder}/kernels.cubin"
        report = subprocess.run(
            [nvcc, "-O3", "-std=c++17", "-arch=sm_90", "-cubin", "-Xptxas", "-v", f"-I{root}",
             f"{root}/{SOURCE}", "-o", cubin], check=True, capture_output=True, text=True).stderr
        listing = subprocess.run([disassembler, "-c", cubin], check=True, capture_output=True,
                                 text=True).stdout
    kernels = {}
    for entry in report.split("Compiling entry function '")[1:]:
        name = NAME.search(entry.split("'")[0])
        kernel = Kernel(name.group(1), name.group(2))
        kernel.registers = int(re.search(r"Used (\d+) registers", entry).group(1))
        kernel.spilled = sum(int(b) for b in re.findall(r"(\d+) bytes spill", entry))
        kernels[entry.split("'")[0]] = kernel
    for part in re.split(r"^\.text\.", listing, flags=re.MULTILINE)[1:]:
        symbol, *lines = part.splitlines()
        if symbol.rstrip(":") in kernels:
            kernel = kernels[symbol.rstrip(":")]
            kernel.code, kernel.loops = innermost_loops(lines)
    return sorted(kernels.values(), key=lambda k: k.label)


def memory(instructions, kind):
    """The widths in bits of all loads or stores of a kind: LDG, STG, LDS, STS, LDL, STL."""
    found = [re.search(rf"\b{kind}\b([.A-Z0-9_]*)", i) for i in instructions]
    widths = [re.search(r"\.(?:U|S)?(8|16|64|128)\b", m.group(1)) for m in found if m]
    return [int(w.group(1)) if w else 32 for w in widths]


def row_loops(kernel):
    """Loops that read or write the matrix."""
    return [l for l in kernel.loops if memory(l, "LDG")]


def check_row_kernel(kernel):
    if kernel.spilled:
        yield f"spills {kernel.spilled} bytes"
    if kernel.registers > REGISTERS:
        yield f"{kernel.registers} registers, more than {REGISTERS}: fewer than three blocks"
    if not row_loops(kernel):
        yield "has no loop that reads rows: has this test learnt to read the disassembly?"
    if kernel.width > 1:
        for loop in row_loops(kernel):
            scalar = [w for w in memory(loop, "LDG") + memory(loop, "STG") if w != 128]
            if scalar:
                yield f"{len(scalar)} accesses narrower than 128 bits in a loop over rows"
    yield from check_shared(kernel)


def check_second_stage(kernel):
    if kernel.spilled:
        yield f"spills {kernel.spilled} bytes"
    for loop in kernel.loops:
        if any(re.search(r"\b(MUFU|CALL)", i) for i in loop):
            yield "divides in a loop"
    yield from check_shared(kernel)


def check_shared(kernel):
    """Threads side by side use 32-bit words side by side: no vector of one thread lies together."""
    wide = [w for w in memory(kernel.code, "LDS") + memory(kernel.code, "STS") if w > 32]
    if wide:
        yield f"{len(wide)} accesses of shared memory wider than a bank"


def figures(kernel):
    def widths(loop, kind):
        all_of = memory(loop, kind)
        return "+".join(f"{all_of.count(w)}x{w}" for w in sorted(set(all_of))) or "-"
    loops = "; ".join(f"{len(l)}: LDG {widths(l, 'LDG')} STG {widths(l, 'STG')}"
                      for l in row_loops(kernel))
    return f"{kernel.label:45} {kernel.registers:4} {kernel.spilled:4}  {loops}"


def main(nvcc, root, folders):
    places = [str(Path(nvcc).parent), *folders]
    disassembler = shutil.which("nvdisasm") or shutil.which("nvdisasm", path=":".join(places))
    if not disassembler:
        print("nvdisasm not found: skipped (launcher/setup.sh --cuda --tests installs it)")
        return SKIPPED
    failures = []
    print(f"{'kernel':45} regs spill  loops over rows: instructions, accesses x bits")
    for kernel in read_kernels(nvcc, disassembler, root):
        print(figures(kernel))
        check = check_row_kernel if kernel.name in ROW_KERNELS else check_second_stage
        failures += [f"{kernel.label}: {what}" for what in check(kernel)]
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
