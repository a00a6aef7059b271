#!/usr/bin/env python3
"""gpu_report.py FOLDER OUT.json: what check.sh left in FOLDER, as one JSON and a small table.

FOLDER holds stages.tsv (name, seconds, exit code or -, note), gpu.csv (of nvidia-smi), torch.json,
libraries.txt (of ldd), ctest.txt (of ctest: the output of all tests) and, for each measurement,
WHO.NETWORK.ROUND.json and .log, WHO being ours, sums, phases, layers, eager or compile. Whatever is missing or
broken is null in the JSON. The exit code is 1 when a stage has failed.
"""
# SPDX-License-Identifier: BSD-3-Clause
import csv
import json
import pathlib
import re
import statistics
import sys

PHASES = ("forward_ms", "backward_ms", "exposed_comm_ms", "optimizer_ms")
LIBRARIES = ("libtorch_cuda.", "libcudart.", "libcudnn.", "libnccl.", "libmpi.")
FIGURES = ("images_per_second", "step_ms", "peak_mib", "tflops")
SYNCHRONISED = "called a synchronizing CUDA operation"  # LibTorch's words
OUTPUT_LINES = 60  # kept of a test that failed


def text_of(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def json_of(path):
    try:
        return json.loads(text_of(path))
    except ValueError:
        return None


def stages(folder):
    rows = [line.split("\t") for line in text_of(folder / "stages.tsv").splitlines()]
    return [{"name": name, "seconds": int(seconds), "note": note or None,
             "exit_code": None if code == "-" else int(code)} for name, seconds, code, note in rows]


def machine(folder):
    gpus = list(csv.reader(text_of(folder / "gpu.csv").splitlines(), skipinitialspace=True))
    gpu = dict(zip(("gpu", "driver", "memory", "compute_capability"), gpus[0] if gpus else ()))
    versions = json_of(folder / "torch.json") or {}
    libraries = [line.strip() for line in text_of(folder / "libraries.txt").splitlines()
                 if any(name in line for name in LIBRARIES)]
    return {"gpu": gpu.get("gpu"), "gpus": len(gpus), "driver": gpu.get("driver"),
            "memory": gpu.get("memory"), "compute_capability": gpu.get("compute_capability"),
            **{name: versions.get(name) for name in ("torch", "cuda", "cudnn", "nccl")},
            "libraries": libraries}


# ---- tests ---------------------------------------------------------------------------------------
def cases_of(output, word):
    """Names of GoogleTest's cases with this result; ranks print the same ones."""
    return set(re.findall(rf"^\[ *{word} *\] ([\w/]+\.[\w/]+)(?:, where .*)? \(\d+ ms\)", output,
                          re.MULTILINE))


def skip_reasons(output):
    return set(re.findall(r": Skipped\n(.+)$", output, re.MULTILINE))


def tests(folder, all_stages):
    log = text_of(folder / "ctest.txt")
    sections = re.split(r"^\d+/\d+ Test: (\S+)\n", log, flags=re.MULTILINE)[1:]
    outputs = dict(zip(sections[::2], sections[1::2]))
    failed = {name: output for name, output in outputs.items()
              if not re.search(r"^Test Passed\.$", output, re.MULTILINE)}
    count = {word: sum(len(cases_of(output, word)) for output in outputs.values())
             for word in ("OK", "FAILED", "SKIPPED")}
    return {"exit_code": next((s["exit_code"] for s in all_stages if s["name"] == "tests"), None),
            "programs": len(outputs), "programs_failed": sorted(failed),
            "cases_passed": count["OK"], "cases_failed": count["FAILED"],
            "cases_skipped": count["SKIPPED"],
            "skip_reasons": sorted(set().union(*map(skip_reasons, outputs.values()))),
            "failures": sorted(case for o in outputs.values() for case in cases_of(o, "FAILED")),
            "output_of_failed": {name: output.splitlines()[-OUTPUT_LINES:]
                                 for name, output in failed.items()}}


# ---- measurements --------------------------------------------------------------------------------
def rounds_of(folder, who, network):
    rounds = [json_of(path) for path in sorted(folder.glob(f"{who}.{network}.*.json"))]
    return [r for r in rounds if r]


def medians(rounds):
    if not rounds:
        return None
    made = {key: statistics.median(r[key] for r in rounds)
            for key in FIGURES if all(key in r for r in rounds)}
    return {**made, "rounds": [r["images_per_second"] for r in rounds]}


def free_of_synchronisation(folder, network, rounds):
    """ours ends with an error where a call of LibTorch would have waited for the device."""
    logs = [text_of(p) for who in ("ours", "phases") for p in folder.glob(f"{who}.{network}.*.log")]
    if any(SYNCHRONISED in log for log in logs):
        return False
    return True if rounds else None


def ratio(ours, peer):
    return ours["images_per_second"] / peer["images_per_second"] if ours and peer else None


def layers(folder, name):
    """By kind of layer what it takes and its floor, and the network's floor, which wants all."""
    made = next(iter(rounds_of(folder, "layers", name)), None)
    if not made:
        return None
    kinds = {kind: {**it, "over_floor": it["ms"] / it["floor_ms"] if not it["left_out"] else None}
             for kind, it in made["kinds"].items()}
    return {**made, "kinds": kinds}


def network(folder, name):
    ours = rounds_of(folder, "ours", name)
    eager, compiled = (medians(rounds_of(folder, who, name)) for who in ("eager", "compile"))
    phases = rounds_of(folder, "phases", name)
    sums = medians(rounds_of(folder, "sums", name))
    source = (phases or ours or [{}])[0]
    middle = medians(ours)
    by_kind = layers(folder, name)
    over_floor = middle["step_ms"] / by_kind["floor_ms"] if middle and by_kind else None
    return {"layers": by_kind, "over_floor": over_floor, "batch": source.get("batch"), "ours": middle,
            "graph": all(r.get("graph") for r in ours) if ours else None,
            "free_of_synchronisation": free_of_synchronisation(folder, name, ours),
            "phases": {key: source.get(key) for key in PHASES},
            "phases_of": "eager run" if phases else "graph" if ours else None,
            "eager": eager, "compile": compiled, "fused_convolutions": sums,
            "ratio_of_fused_convolutions": ratio(sums, middle),
            "ratio_to_eager": ratio(middle, eager), "ratio_to_compile": ratio(middle, compiled)}


def assemble(folder):
    all_stages = stages(folder)
    names = dict.fromkeys(s["name"].split(".")[1] for s in all_stages if "." in s["name"])
    return {"machine": machine(folder),
            "failed": [s["name"] for s in all_stages if s["exit_code"]],
            "skipped": [s["name"] for s in all_stages if s["exit_code"] is None],
            "tests": tests(folder, all_stages),
            "networks": {name: network(folder, name) for name in names},
            "stages": all_stages}


# ---- for people ----------------------------------------------------------------------------------
def cell(value, form):
    return "-" if value is None else format(value, form)


def kind_rows(name, by_kind):
    """Where the time goes, the most to be gained first."""
    gains = sorted(by_kind["kinds"].items(), key=lambda it: it[1]["floor_ms"] - it[1]["ms"])
    return [f"{name:<11} {kind:<12} {it['layers']:>6} {it['ms']:>9.2f} {it['floor_ms']:>9.2f} "
            f"{cell(it['over_floor'], '.2f'):>8}" for kind, it in gains]


def floors(made):
    measured = {name: it["layers"] for name, it in made["networks"].items() if it["layers"]}
    if not measured:
        return []
    rates = next(iter(measured.values()))
    return [f"floors: products {rates['matrix_tflops']:.0f} TFLOP/s, copies "
            f"{rates['copy_gb_per_s']:.0f} GB/s, as measured here; layers one by one, without the "
            "optimizer",
            "network     kind         layers        ms  floor ms  / floor"] + [
                line for name, it in measured.items() for line in kind_rows(name, it)]


def row(name, it):
    def rate(who):
        return cell(it[who] and it[who]["images_per_second"], ".0f")

    ours = it["ours"] or {}
    floor = (it["layers"] or {}).get("floor_ms")
    return (f"{name:<11} {cell(it['batch'], 'd'):>5} {rate('ours'):>7} {rate('eager'):>7} "
            f"{rate('compile'):>7} {cell(it['ratio_to_eager'], '.2f'):>8} "
            f"{cell(it['ratio_to_compile'], '.2f'):>10} {cell(ours.get('step_ms'), '.1f'):>8} "
            f"{cell(floor, '.1f'):>9} {cell(it['over_floor'], '.2f'):>8} {cell(ours.get('tflops'), '.1f'):>8} "
            f"{cell(ours.get('peak_mib'), '.0f'):>8}  {it['free_of_synchronisation']}")


def table(made):
    m, t = made["machine"], made["tests"]
    lines = [f"{m['gpu']}, driver {m['driver']}, torch {m['torch']}, CUDA {m['cuda']}, cuDNN "
             f"{m['cudnn']}, NCCL {m['nccl']}",
             f"tests: {t['cases_passed']} passed, {t['cases_failed']} failed, "
             f"{t['cases_skipped']} skipped {' '.join(t['failures'])}",
             "network     batch    ours   eager compile  / eager  / compile  step ms  floor ms  / floor  "
             "TFLOP/s peak MiB  "
             "no synchronisation   (img/s)"]
    lines += [row(name, it) for name, it in made["networks"].items()]
    lines += [f"{name}: {it['ratio_of_fused_convolutions']:.2f} times as fast with "
              "model.fused_convolutions" for name, it in made["networks"].items()
              if it["ratio_of_fused_convolutions"]]
    lines += floors(made)
    for what in ("failed", "skipped"):
        if made[what]:
            lines.append(f"{what}: {' '.join(made[what])}")
    return "\n".join(lines)


def main(arguments):
    folder, out = map(pathlib.Path, arguments)
    made = assemble(folder)
    out.write_text(json.dumps(made, indent=1) + "\n")
    print(table(made))
    return 1 if made["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
