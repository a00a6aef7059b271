#!/usr/bin/env python3
"""check_sweep.py FOLDER TRIALS: a sweep's folder after its life: each trial once, right values, a full leaderboard."""
# SPDX-License-Identifier: BSD-3-Clause
import csv
import json
import statistics
import sys


def main():
    folder, trials = sys.argv[1], int(sys.argv[2])
    with open(f"{folder}/leaderboard.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    sweep = json.load(open(f"{folder}/sweep.json"))
    wrong = []

    def expect(what, condition):
        if not condition:
            wrong.append(what)

    expect(f"{len(rows)} rows of {trials}", len(rows) == trials)
    expect("every trial has a row", sorted(r["trial"] for r in rows) == sorted(t["name"] for t in sweep["trials"]))
    for row in rows:
        name = row["trial"]
        expect(f"{name} is {row['state']}", row["state"] == "finished" or row["state"].startswith("stopped at rung"))
        lines = [json.loads(line) for line in open(f"{folder}/{name}/metrics.jsonl")]
        steps = [line["step"] for line in lines if line["event"] == "train"]
        expect(f"{name} took each step once: {steps}", steps == list(range(1, len(steps) + 1)))
        ends = [line for line in lines if line["event"] == "end"]
        whole = ends[-1]["step"] == ends[-1]["total_steps"]
        expect(f"{name} has finished, or was stopped", whole == (row["state"] == "finished"))
        expect(f"{name} finished once", sum(e["exit_code"] == 0 and e["step"] == e["total_steps"] for e in ends) == whole)
        top1 = [line["top1"] for line in lines if line["event"] == "validation"][-1]
        expect(f"{name} has {row['top1']}, not {top1}", row["top1"] == f"{top1:.4g}")
        row["value"] = top1
    groups = {t["name"]: t["group"] for t in sweep["trials"]}
    for group in set(groups.values()):
        those = [r for r in rows if groups[r["trial"]] == group]
        expect(f"{group} has one place", len({r["place"] for r in those}) == 1 and those[0]["place"])
        if len(those) == 1:
            continue
        values = [r["value"] for r in those]
        expect(f"the mean of {group}", all(r["mean"] == f"{statistics.mean(values):.4g}" for r in those))
        expect(f"the spread of {group}", all(r["spread"] == f"{statistics.stdev(values):.2g}" for r in those))
    finished = [r for r in rows if r["state"] == "finished"]
    key = (lambda r: float(r["mean"])) if "mean" in rows[0] else (lambda r: r["value"])
    best_first = [key(r) for r in sorted(finished, key=lambda r: int(r["place"]))]
    expect(f"ranked: {best_first}", best_first == sorted(best_first, reverse=True))
    if "stop" in sweep:
        decisions = [json.loads(line) for line in open(f"{folder}/trials.jsonl") if line.startswith('{"rung"')]
        share = int(sweep["stop"]["keep"] * trials + 1e-9)
        expect(f"{share} go on", len(decisions[-1]["kept"]) == share == len(finished))
        stopped = [decisions[-1]["scores"][g] for g in decisions[-1]["scores"] if g not in decisions[-1]["kept"]]
        kept = [decisions[-1]["scores"][g] for g in decisions[-1]["kept"]]
        expect("the better go on", min(kept) >= max(stopped))
    print("\n".join(wrong) or f"{trials} trials are as they should be")
    sys.exit(1 if wrong else 0)


main()
