#!/usr/bin/env python3
"""mutants.py BUILD [TEXT]: changes constants of stochastic depth and frozen stages, one at a time, and shows
that their tests fall (tests/support/mutants.py).

SPDX-License-Identifier: BSD-3-Clause
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import mutants  # noqa: E402

# But for the last fold, whose length touches no bit above the 30th: no draw shows it.
DEPTH = [
    ("0x9e3779b97f4a7c15", "0x9e3779b97f4a7c17"),
    ("folded(x, 30)", "folded(x, 31)"),
    ("0xbf58476d1ce4e5b9", "0xbf58476d1ce4e5bb"),
    ("folded(y, 27)", "folded(y, 28)"),
    ("0x94d049bb133111eb", "0x94d049bb133111ed"),
    ("1 / (1 - layer.drop_rate)", "1"),
    ("layer.drop_rate, 53)", "layer.drop_rate, 52)"),
    ("bitwise_right_shift(11)", "bitwise_right_shift(12)"),
    ("add(blocks_).add_(1)", "add(blocks_)"),
]
FREEZING = [
    ("stages == 0 ? plan.stages.front().begin", "stages == 0 ? 0"),
    ("plan.stages[stages - 1].end", "plan.stages[stages - 1].begin"),
    ("x = graph_.run({0, done}, x, Mode::kEvaluate)", "x = graph_.run({0, done}, x, mode)"),
    ("is_parameter && !frozen_names_.contains(name)", "is_parameter"),
    ("if (!frozen_names_.contains(name)) visitor", "visitor"),
]

FOUND = [mutants.Mutant("model/network/stochastic_depth.cpp", *m, test="recipe_steps_test") for m in DEPTH]
FOUND.append(mutants.Mutant("model/network/plan.cpp", "blocks_ - 1", "blocks_", "layer_graph_test",
                            "StochasticDepth.*"))
FOUND += [mutants.Mutant("model/network/resnext.cpp", *m, test="layer_graph_test", only="FrozenStages.*")
          for m in FREEZING]
mutants.run(FOUND)
