"""Changes one place of the sources at a time, and shows that a test falls; restores it after each.

For scripts SCRIPT BUILD [TEXT]: with TEXT only the mutants that hold it. Prints those that survive;
exit code 1.
"""
# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Mutant(NamedTuple):
    file: str
    old: str  # what stands there: its first place
    new: str  # what shall stand there
    test: str  # program of tests/bin that shall fall
    only: str = "*"  # its tests, as --gtest_filter takes them
    builds: bool = True  # the file is compiled; else the test reads it


def build_and_test(build, mutant):
    """Whether the tests pass; a mutant that does not compile counts as found."""
    if mutant.builds:
        made = subprocess.run(["ninja", "-C", build, mutant.test], capture_output=True, check=False)
        if made.returncode != 0:
            return False
    command = [Path(build) / "tests/bin" / mutant.test, f"--gtest_filter={mutant.only}"]
    return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 0


def survives(build, mutant):
    path = ROOT / mutant.file
    source = path.read_text(encoding="utf-8")
    if source.count(mutant.old) == 0:
        sys.exit(f"{mutant.file} has no {mutant.old!r}: mend the list")
    path.write_text(source.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    try:
        return build_and_test(build, mutant)
    finally:
        path.write_text(source, encoding="utf-8")


def run(mutants):
    build, wanted = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    mutants = [mutant for mutant in mutants if wanted in " ".join(mutant[:3])]
    for mutant in {(m.test, m.only): m for m in mutants}.values():
        if not build_and_test(build, mutant._replace(builds=True)):
            sys.exit(f"{mutant.test} does not pass as it is")
    survivors = 0
    for mutant in mutants:
        survived = survives(build, mutant)
        survivors += survived
        print(f"{'SURVIVES' if survived else 'found   '} {mutant.file}: {mutant.old!r} -> {mutant.new!r}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} found")
    sys.exit(1 if survivors else 0)
